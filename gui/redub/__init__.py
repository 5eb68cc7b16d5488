"""Re-dubbing in the window: what to re-dub with, the queue of renders, and the takes that come of it."""
