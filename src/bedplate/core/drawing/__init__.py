"""How bedplate's pages look: one style sheet, one frame, the strokes of inline SVG.

A page has no script, no font, no image and no link outside, so that it can be mailed, printed or kept as it is.
"""
