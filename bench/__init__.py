"""Measurements on real files and beside other tools. Nothing here is imported by the package."""
