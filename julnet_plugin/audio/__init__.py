"""Audio: speech to features every 20 ms, and features to one window per picture frame.

features    what all of them share: steps, the level of speech, silence
speech      the default: a multilingual recogniser's layers
phones      an English recogniser's phone scores
windows     features around each frame's own time
"""
