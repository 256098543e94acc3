"""What planners open in QGIS Desktop: the project of a city, made of a template of QGIS's own."""
