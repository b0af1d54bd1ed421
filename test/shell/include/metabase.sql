-- What test/shell/metabase.sh asks of the cards that were sent to Metabase: jsonb, as POST /api/card takes it.

-- The columns that chart settings name.
CREATE FUNCTION named_columns(settings jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT settings ->> k FROM unnest('{treemap.grouping,treemap.value,table.pivot_column,table.cell_column}'::text[]) k
        WHERE settings ? k
        UNION SELECT jsonb_array_elements_text(settings -> 'graph.dimensions')
        UNION SELECT jsonb_array_elements_text(settings -> 'graph.metrics')
        UNION SELECT jsonb_object_keys(settings -> 'series_settings')
        UNION SELECT jsonb_object_keys(settings -> 'column_settings')::jsonb ->> 1
        UNION SELECT jsonb_array_elements_text(f -> 'columns') FROM jsonb_array_elements(settings -> 'table.column_formatting') f;
    END;

-- The settings of which Metabase makes something. A name that is not here may be misspelt.
CREATE FUNCTION known_settings() RETURNS text[] LANGUAGE sql IMMUTABLE
    RETURN '{treemap.grouping,treemap.value,table.pivot,table.pivot_column,table.cell_column,table.column_formatting,
        column_settings,series_settings,graph.dimensions,graph.metrics,graph.show_values,graph.x_axis.scale,
        graph.y_axis.auto_range,graph.y_axis.min,graph.y_axis.max}'::text[];

-- The settings that a chart needs.
CREATE FUNCTION needed_settings(display text) RETURNS text[] LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN display IN ('area', 'bar', 'combo', 'line', 'row') THEN '{graph.dimensions,graph.metrics}'
                WHEN display = 'treemap' THEN '{treemap.grouping,treemap.value}' ELSE '{}' END::text[];

-- What is wrong with the cards, and how many rows each has. Runs the SQL of the cards as the caller.
CREATE FUNCTION check_cards(cards jsonb) RETURNS TABLE (card text, rows bigint, problem text) LANGUAGE plpgsql AS $$
DECLARE
    c       jsonb;
    columns text[];
BEGIN
    FOR c IN SELECT jsonb_array_elements(cards) LOOP
        card := c ->> 'name';
        EXECUTE 'CREATE TEMPORARY VIEW this_card AS ' || (c #>> '{dataset_query,native,query}');
        EXECUTE 'SELECT count(*) FROM this_card' INTO rows;
        SELECT array_agg(attname::text) INTO columns FROM pg_attribute WHERE attrelid = 'this_card'::regclass AND attnum > 0;
        DROP VIEW this_card;
        SELECT string_agg(p, ', ' ORDER BY p) INTO problem FROM (
            SELECT 'no column ' || n FROM named_columns(c -> 'visualization_settings') n WHERE n <> ALL (columns)
            UNION ALL
            SELECT 'unknown setting ' || k FROM jsonb_object_keys(c -> 'visualization_settings') k WHERE k <> ALL (known_settings())
            UNION ALL
            SELECT 'no setting ' || k FROM unnest(needed_settings(c ->> 'display')) k WHERE NOT c -> 'visualization_settings' ? k
            UNION ALL
            SELECT 'a column of people: ' || n FROM unnest(columns) n WHERE n ~* 'customer.?id|^id$'
        ) x(p);
        RETURN NEXT;
    END LOOP;
END $$;

-- The cards of a dashboard that lie on each other or beyond its 24 columns.
CREATE FUNCTION misplaced(dashcards jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        WITH d AS (SELECT * FROM jsonb_to_recordset(dashcards) AS x(id int, "row" int, col int, size_x int, size_y int, dashboard_tab_id int))
        SELECT count(*) FROM d a
        WHERE a.col + a.size_x > 24 OR EXISTS (
            SELECT FROM d b
            WHERE a.id <> b.id AND a.dashboard_tab_id IS NOT DISTINCT FROM b.dashboard_tab_id
              AND a.col < b.col + b.size_x AND b.col < a.col + a.size_x AND a.row < b.row + b.size_y AND b.row < a.row + a.size_y);
    END;
