-- 48_cells: the customers by score, straight from their profiles.

CREATE FUNCTION rfm.cell_sums(profiles rfm.profile_set, as_of_date date, time_zone text,
        recency_cutoffs numeric[], recency_fractions numeric[], frequency_cutoffs numeric[], frequency_fractions numeric[],
        monetary_cutoffs numeric[], monetary_fractions numeric[],
        OUT rfm_score smallint, OUT customers bigint, OUT recency_days bigint, OUT orders bigint, OUT revenue numeric)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'rfm_cell_sums' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION rfm.cell_sums(rfm.profile_set, date, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[]) IS
    'Internal. The customers with a purchase in the window by score: their number and the sums of recency_days, orders and revenue, a row for each cell of the cube that has any. Cut points of an axis are those given, or percentiles of the customers. No customers, no rows.';
