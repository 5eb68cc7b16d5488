"""Matte tools: paint on the uncertainty matte, shape it with levels and curves, decide about the uncertain stretches.

Everything is an edit of the take's `MatteDocument` by the pure functions of `julnet_plugin.matte.edits`, kept in the
window's history, and saved to the take's `strokes.json` as it is made. Nothing here runs the model.
"""
