"""Where problems gather, whether it is more than chance, and what keeps coming back.

Every method reads cases as columns (`gridsvc.hotspots.cases`), in the storage CRS, and areas as a
GeoDataFrame; so it serves the database, a Parquet file and a notebook alike.
"""
