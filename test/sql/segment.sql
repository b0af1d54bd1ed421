-- Segments: rules, the compiled value, and the segment of every cell.

-- the rule sets that come with the extension
SELECT * FROM rfm.default_rules('lifecycle');
SELECT * FROM rfm.default_rules('classic');
SELECT * FROM rfm.default_rules('quintiles');

CREATE TEMP TABLE compiled AS
SELECT name, rfm.compile_rules(array_agg(r)) AS rules
FROM unnest('{lifecycle,classic}'::text[]) name, rfm.default_rules(name) r GROUP BY name;
SELECT name, segment_rank, segment, stage, m_min, m_max
FROM compiled, rfm.rule_segments(rules) ORDER BY name COLLATE "C" DESC, segment_rank;

-- all 125 cells of both, against plain SQL
CREATE TEMP VIEW cell AS
SELECT r, f, m, 100 * r + 10 * f + m AS rfm_score FROM generate_series(1, 5) r, generate_series(1, 5) f, generate_series(1, 5) m;
CREATE TEMP VIEW expected AS
SELECT 'lifecycle' AS name, r, f, m, rfm_score,
       CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'VIP Champions'
            WHEN r >= 3 AND f >= 4 AND m >= 3 THEN 'Loyal High Value'
            WHEN r >= 3 AND f >= 4 AND m <= 2 THEN 'Loyal Low Value'
            WHEN r >= 4 AND f = 3 AND m >= 3 THEN 'Promising High Value'
            WHEN r >= 4 AND f = 3 AND m <= 2 THEN 'Promising Low Value'
            WHEN r <= 2 AND f >= 4 AND m >= 3 THEN 'Need Attention'
            WHEN r = 3 AND f = 3 THEN 'At Risk'
            WHEN r <= 2 AND f <= 3 THEN 'Hibernating'
            ELSE 'Others' END AS segment
FROM cell
UNION ALL
SELECT 'classic', r, f, m, rfm_score,
       CASE WHEN r = 5 AND f = 5 AND m = 5 THEN 'Champions'
            WHEN r BETWEEN 3 AND 5 AND f BETWEEN 3 AND 5 AND m BETWEEN 2 AND 5 THEN 'Potential Loyalist'
            WHEN r BETWEEN 2 AND 4 AND f BETWEEN 2 AND 4 AND m BETWEEN 2 AND 4 THEN 'Loyal Customers'
            WHEN r BETWEEN 3 AND 4 AND f BETWEEN 1 AND 3 AND m BETWEEN 3 AND 5 THEN 'Promising'
            WHEN r BETWEEN 4 AND 5 AND f BETWEEN 1 AND 3 AND m BETWEEN 1 AND 5 THEN 'New Customers'
            WHEN r BETWEEN 1 AND 2 AND f BETWEEN 3 AND 4 AND m BETWEEN 4 AND 5 THEN 'Can''t Lose Them'
            WHEN r BETWEEN 1 AND 2 AND f BETWEEN 2 AND 5 AND m BETWEEN 4 AND 5 THEN 'At Risk'
            WHEN r BETWEEN 1 AND 3 AND f BETWEEN 3 AND 5 AND m BETWEEN 3 AND 5 THEN 'Need Attention'
            WHEN r BETWEEN 2 AND 3 AND f BETWEEN 1 AND 3 AND m BETWEEN 1 AND 4 THEN 'About To Sleep'
            WHEN r = 1 THEN 'Lost'
            ELSE 'Others' END
FROM cell;
SELECT count(*) AS cells,
       count(*) FILTER (WHERE rfm.segment_of(rfm_score, rules) IS DISTINCT FROM segment) AS wrong,
       count(*) FILTER (WHERE rfm.segment_of(r, f, m, rules) IS DISTINCT FROM segment) AS wrong_by_scores,
       count(*) FILTER (WHERE name = 'lifecycle' AND rfm.segment_of(rfm_score) IS DISTINCT FROM segment) AS wrong_default,
       count(*) FILTER (WHERE name = 'lifecycle' AND rfm.segment_of(r, f, m) IS DISTINCT FROM segment) AS wrong_default_by_scores,
       count(*) FILTER (WHERE (segment, rfm.segment_rank(rfm_score, rules), rfm.segment_stage(rfm_score, rules)) NOT IN
                              (SELECT s.segment, s.segment_rank, s.stage FROM rfm.rule_segments(rules) s)) AS wrong_rank_or_stage
FROM expected JOIN compiled USING (name);
SELECT name, segment, count(*) AS cells FROM expected JOIN compiled USING (name) GROUP BY name, segment, rules::text
ORDER BY name COLLATE "C" DESC, min(rfm.segment_rank(rfm_score, rules::rfm.rules));

-- names outlive the rules they come from
SELECT max(segment COLLATE "C"), min(segment COLLATE "C") FROM (SELECT rfm.segment_of(rfm_score, rules) AS segment FROM cell, compiled OFFSET 0) s;
SELECT rfm.segment_of(NULL), rfm.segment_of(5, NULL, 5), rfm.segment_of(555, NULL), rfm.segment_rank(NULL, rules) FROM compiled LIMIT 1;

-- rules of one's own: any row order, first match wins, one segment from several rules, 'Others' by name
CREATE TEMP TABLE own OF rfm.segment_rule;
INSERT INTO own VALUES
    (30, 'rest of "2"', 'risk', 1, 2, 1, 9, 1, 9),
    (10, 'surprising', 'vip', 3, 3, 2, 2, 4, 9),
    (20, 'Others', 'attention', 3, 3, 1, 1, 1, 2),
    (40, 'surprising', 'vip', 1, 9, 2, 2, 3, 3);
CREATE TEMP TABLE own_compiled AS SELECT rfm.compile_rules(array_agg(o::rfm.segment_rule), 3, 2, 4) AS rules FROM own o;
SELECT rules FROM own_compiled;
SELECT s.* FROM own_compiled, rfm.rule_segments(rules) s;
SELECT r, f, string_agg(format('%s:%s', m, rfm.segment_of(r, f, m, rules)), ', ' ORDER BY m) AS segments
FROM own_compiled, generate_series(1, 3) r, generate_series(1, 2) f, generate_series(1, 4) m GROUP BY r, f ORDER BY r, f;

-- no rules at all, the largest cube, the longest name
SELECT rfm.compile_rules(NULL), rfm.compile_rules('{}', 2, 9, 3);
SELECT rfm.segment_of(999, rules) = repeat('ä', 31) || 'x' AS found, rfm.segment_of(998, rules) AS beside, octet_length(rfm.segment_of(999, rules)) AS bytes
FROM rfm.compile_rules(ARRAY[(1, repeat('ä', 31) || 'x', 'vip', 9, 9, 9, 9, 9, 9)]::rfm.segment_rule[], 9, 9, 9) rules;
SELECT count(*), max(segment_rank)
FROM rfm.rule_segments(rfm.compile_rules((SELECT array_agg((i, 'segment ' || i, 'risk', 1, 1, 1, 1, 1, 1)::rfm.segment_rule) FROM generate_series(1, 98) i)));

-- text and binary forms are exact
CREATE TEMP TABLE kept AS SELECT rules FROM compiled UNION ALL SELECT rules FROM own_compiled UNION ALL SELECT rfm.compile_rules(NULL, 9, 2, 9);
SELECT count(*) AS values,
       count(*) FILTER (WHERE rules::text::rfm.rules::text <> rules::text) AS wrong_text,
       count(*) FILTER (WHERE rfm.rules_send(rules::text::rfm.rules) <> rfm.rules_send(rules)) AS wrong_bytes
FROM kept;
CREATE TEMP TABLE copied (rules rfm.rules);
\copy kept TO PROGRAM 'cat >"$PG_ABS_BUILDDIR/results/rules.copy"' (FORMAT binary)
\copy copied FROM PROGRAM 'cat "$PG_ABS_BUILDDIR/results/rules.copy"' (FORMAT binary)
SELECT count(*) AS copied FROM copied c JOIN kept k ON rfm.rules_send(c.rules) = rfm.rules_send(k.rules) AND c.rules::text = k.rules::text;

-- text that no function wrote
CREATE TEMP TABLE hostile AS SELECT * FROM (VALUES
    ('accepted', ' levels 2 2 2  segments "a" vip 1-9,"Others"other cells 4 * 1 4*2 '),
    ('accepted', 'levels 2 2 2 segments "a""" vip 1-1 cells 1 1 1 1 1 1 1 1'),
    ('no levels', 'segments "a" vip 1-9 cells 8*1'),
    ('too few levels', 'levels 1 2 2 segments "a" vip 1-9 cells 4*1'),
    ('too many levels', 'levels 2 2 10 segments "a" vip 1-9 cells 40*1'),
    ('huge number', 'levels 2 2 4294967298 segments "a" vip 1-9 cells 8*1'),
    ('no segments', 'levels 2 2 2 segments cells 8*1'),
    ('empty name', 'levels 2 2 2 segments "" vip 1-9 cells 8*1'),
    ('long name', 'levels 2 2 2 segments "' || repeat('a', 64) || '" vip 1-9 cells 8*1'),
    ('open name', 'levels 2 2 2 segments "a vip 1-9 cells 8*1'),
    ('ends in a quote', 'levels 2 2 2 segments "a""'),
    ('two of a name', 'levels 2 2 2 segments "a" vip 1-9, "a" vip 1-9 cells 8*1'),
    ('unknown stage', 'levels 2 2 2 segments "a" best 1-9 cells 8*1'),
    ('no range', 'levels 2 2 2 segments "a" vip cells 8*1'),
    ('descending range', 'levels 2 2 2 segments "a" vip 3-2 cells 8*1'),
    ('range from 0', 'levels 2 2 2 segments "a" vip 0-2 cells 8*1'),
    ('range to 10', 'levels 2 2 2 segments "a" vip 1-10 cells 8*1'),
    ('unknown rank', 'levels 2 2 2 segments "a" vip 1-9 cells 7*1 2'),
    ('rank 0', 'levels 2 2 2 segments "a" vip 1-9 cells 7*1 0'),
    ('rank beyond a byte', 'levels 2 2 2 segments "a" vip 1-9 cells 7*1 257'),
    ('too few cells', 'levels 2 2 2 segments "a" vip 1-9 cells 7*1'),
    ('too many cells', 'levels 2 2 2 segments "a" vip 1-9 cells 9*1'),
    ('way too many cells', 'levels 2 2 2 segments "a" vip 1-9 cells 999*1'),
    ('negative run', 'levels 2 2 2 segments "a" vip 1-9 cells -1*1 9*1'),
    ('more behind', 'levels 2 2 2 segments "a" vip 1-9 cells 8*1 x'),
    ('empty', ''),
    ('100 segments', 'levels 2 2 2 segments ' || (SELECT string_agg(format('"%s" vip 1-1', i), ', ') FROM generate_series(1, 100) i) || ' cells 8*1')
) v (what, input);
CREATE FUNCTION pg_temp.read_rules(input text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN input::rfm.rules;
EXCEPTION WHEN others THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT what, pg_temp.read_rules(input) FROM hostile;
SELECT 'levels'::rfm.rules;

-- bytes that no function wrote: version, levels, rank of a cell, a name without end, too short
CREATE TEMP TABLE received (rules rfm.rules);
\set VERBOSITY terse
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\022\001\002\002\002\001\000\001\011a\000\001\001\001\001\001\001\001\001\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\022\002\002\002\002\001\000\001\011a\000\001\001\001\001\001\001\001\001\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\022\001\001\002\002\001\000\001\011a\000\001\001\001\001\001\001\001\001\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\022\001\002\002\002\001\000\001\011a\000\001\001\001\001\001\001\001\002\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\031\001\002\002\002\001\000\001\011aaaaaaaaa\001\001\001\001\001\001\001\001\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\021\001\002\002\002\001\000\001\011a\000\001\001\001\001\001\001\001\377\377"' (FORMAT binary)
\set VERBOSITY default
SELECT * FROM received;

-- errors: scores
SELECT rfm.segment_of(6, 5, 5);
SELECT rfm.segment_of(5, 0, 5);
SELECT rfm.segment_of(556);
SELECT rfm.segment_of(55);
SELECT rfm.segment_of(5555, rules) FROM own_compiled;
SELECT rfm.segment_of(334, rules) FROM own_compiled;
SELECT rfm.segment_rank(-111, rules) FROM own_compiled;

-- errors: rules
SELECT rfm.compile_rules('{"(1,a,vip,1,5,4,3,1,5)"}');
SELECT rfm.compile_rules('{"(1,a,vip,0,5,1,5,1,5)"}');
SELECT rfm.compile_rules('{"(1,a,vip,1,5,1,5,1,10)"}');
SELECT rfm.compile_rules('{"(1,a,gold,1,5,1,5,1,5)"}');
SELECT rfm.compile_rules('{"(1,\"\",vip,1,5,1,5,1,5)"}');
SELECT rfm.compile_rules(ARRAY[(1, repeat('a', 64), 'vip', 1, 5, 1, 5, 1, 5)]::rfm.segment_rule[]);
SELECT rfm.compile_rules('{"(1,a,vip,1,5,1,5,1,)"}');
SELECT rfm.compile_rules('{"(1,,vip,1,5,1,5,1,5)"}');
SELECT rfm.compile_rules('{NULL}');
SELECT rfm.compile_rules('{"(7,a,vip,1,5,1,5,1,5)","(7,b,vip,1,5,1,5,1,5)"}');
SELECT rfm.compile_rules('{"(1,a,vip,1,5,1,5,1,5)","(2,a,risk,1,5,1,5,1,5)"}');
SELECT rfm.compile_rules('{}', 5, 1, 5);
SELECT rfm.compile_rules('{}', 5, 5, 10);
SELECT rfm.compile_rules('{}', NULL);
SELECT rfm.compile_rules(array_agg((i, 'segment ' || i, 'risk', 1, 1, 1, 1, 1, 1)::rfm.segment_rule)) FROM generate_series(1, 99) i;
SELECT rfm.compile_rules(array_agg((i, 'segment ' || i || repeat('x', 50), 'risk', 1, 1, 1, 1, 1, 1)::rfm.segment_rule), 9, 9, 9) FROM generate_series(1, 98) i;
