-- Keep another boundary of an area in a change set as an edit in QGIS would: a base version ends
-- and another stands in its place, a version that the change set proposes is changed.
--   version   as gridsvc.draft_area gives it
--   boundary  on the millimetre grid
CREATE OR REPLACE FUNCTION gridsvc.redraw_area(
    change_set integer, version bigint, boundary geometry
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    it gridsvc.change_set;
    based gridsvc.area;
    begin_at timestamptz;
BEGIN
    IF version < 0 THEN
        UPDATE gridsvc.area_edit AS e
        SET boundary = redraw_area.boundary, row_number = e.row_number + 1, edited_at = now(),
            edited_by = session_user
        WHERE e.id = -version AND e.change_set_id = change_set;
    ELSE
        SELECT c.* INTO STRICT it FROM gridsvc.change_set AS c WHERE c.id = change_set;
        SELECT a.* INTO STRICT based FROM gridsvc.area AS a WHERE a.id = version;
        begin_at := gridsvc.end_version(it, based);
        INSERT INTO gridsvc.area_edit
            (change_set_id, origin, layer, code, name, boundary, centre_line, width_m, valid_from,
             valid_to)
        VALUES (it.id, based.id, based.layer, based.code, based.name, redraw_area.boundary,
                based.centre_line, based.width_m, begin_at, based.valid_to);
    END IF;
END
$$;
