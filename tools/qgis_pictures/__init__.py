"""The pictures of the planners' guide, drawn by real QGIS from the packaged project."""
