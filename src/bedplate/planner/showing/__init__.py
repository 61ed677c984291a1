"""An answer of `size` in words and drawings, for the terminal, the page, the report and the console: records in, text and SVG out."""
