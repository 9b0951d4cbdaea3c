"""The report as one HTML page that needs no network: tables that sort, plots, and the questions behind the numbers."""
