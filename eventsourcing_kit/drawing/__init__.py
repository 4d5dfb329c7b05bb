"""What charts are drawn from and with, and a renderer for notebooks.

Each module imports only from those above it.

    palette          a colour for each name
    chart_data       frames made plain and small, ready to draw
    lag_data         what the lag chart is drawn from
    comparison_data  what the comparison chart is drawn from
    axes             how charts look: colours, axes in UTC, lanes, legends, tooltips
    panels           what charts are put together from
    picture          a small picture of a chart
    renderer         charts that JupyterLab draws offline and that tests can compare
"""
