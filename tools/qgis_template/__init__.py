"""The project that QGIS itself writes, of which `gridsvc qgis package` makes every city's."""
