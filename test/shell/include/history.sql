-- Intervals of the history of the model shop that leave a gap or overlap: none.
SELECT h.* FROM shop.segment_history h
LEFT JOIN shop.segment_history n ON n.customer_id = h.customer_id AND n.valid_from = h.valid_to
WHERE h.valid_to <= h.valid_from OR (n.segment = h.segment)
UNION ALL
SELECT a.* FROM shop.segment_history a JOIN shop.segment_history b ON a.customer_id = b.customer_id AND a.valid_from < b.valid_from
	AND coalesce(a.valid_to, 'infinity') > b.valid_from
LIMIT 5;
