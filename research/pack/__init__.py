"""A day's (or a week's) figures -> a page to look at, and the same as a PDF.

    rows of the marts -> `day.document` -> `page.html` and `pdf.pdf`

Nothing is computed here that a model in dbt_project/ should hold: rows are chosen, ordered, named and drawn.
"""
