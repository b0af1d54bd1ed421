-- Out of memory at every allocation: loaded behind fuzz.sql, in a database of its own, whose extension
-- is replaced by the one that can be made to fail. :starved is the path of failing_allocations.so.

UPDATE pg_proc SET probin = :'starved' WHERE probin LIKE '%rfm\_segments';

CREATE FUNCTION fuzz.fail_allocation(n bigint) RETURNS void AS :'starved', 'fail_allocation' LANGUAGE c;
CREATE FUNCTION fuzz.allocations() RETURNS bigint AS :'starved', 'allocations' LANGUAGE c;

-- Lets the allocations of a query fail, one after the other, and runs it again after each. More than most
-- of them are sampled behind the first ones. Returns how many failed.
CREATE FUNCTION fuzz.starve(query text, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    expected text;
    answer   text;
    total    bigint;
    n        bigint := 1;
    failures bigint := 0;
BEGIN
    PERFORM fuzz.fail_allocation(0);
    EXECUTE query INTO expected;
    total := fuzz.allocations();
    LOOP
        BEGIN
            PERFORM fuzz.fail_allocation(n);
            EXECUTE query INTO answer;
            EXIT;
        EXCEPTION WHEN out_of_memory THEN
            failures := failures + 1;
        END;
        PERFORM fuzz.fail_allocation(0);
        EXECUTE query INTO answer;
        IF answer IS DISTINCT FROM expected THEN
            RAISE EXCEPTION 'after allocation % failed: %, not %', n, answer, expected;
        END IF;
        n := n + CASE WHEN n < most / 2 THEN 1 ELSE 1 + 2 * (total / most) END;
    END LOOP;
    PERFORM fuzz.fail_allocation(0);
    IF failures = 0 THEN
        RAISE EXCEPTION 'no allocation failed';
    END IF;
    RETURN failures;
END $$;

-- What is starved: the aggregates over enough rows that their arrays grow, what reads their results, and
-- the way of their states from worker to leader.
CREATE TABLE fuzz.starved (name text PRIMARY KEY, query text);

INSERT INTO fuzz.starved
SELECT 'states of ' || aggregate, format('SELECT md5(string_agg(fuzz.state(%s::regprocedure, state, query)::text, '' '')) FROM fuzz.aggregates, unnest(states) state WHERE aggregate = %1$s', aggregate::oid)
FROM fuzz.aggregates
UNION ALL
SELECT 'input of ' || type, format('SELECT md5(string_agg(t::%s::text || %2$s(t::%1$s)::text, '' '')) FROM fuzz.types, unnest(texts) t WHERE type = %3$L::regtype', type, t.typsend, type)
FROM fuzz.types f JOIN pg_type t ON t.oid = f.type WHERE f.type::text NOT LIKE '%\_set' AND f.type::text NOT LIKE '%boundaries'
UNION ALL
SELECT 'values of ' || type, 'SELECT md5(string_agg(v::text, '' '')) FROM fuzz.types, unnest(texts) t, LATERAL (' || replace(query, '$1', 't::' || type) || format(') v WHERE type = %L::regtype', type)
FROM fuzz.types WHERE query IS NOT NULL AND type NOT IN ('rfm.rules'::regtype, 'rfm.survival'::regtype);

INSERT INTO fuzz.starved VALUES
('profile_all', $$SELECT md5(string_agg(u::text, ' ' ORDER BY customer_id)) FROM rfm.unpack((SELECT rfm.profile_all(i % 3000, i, '2024-01-01'::timestamptz + i * interval '1 hour', i) FROM generate_series(1, 4000) i)) u(customer_id int, orders bigint, revenue numeric, first_order_id int)$$),
('profile_all of text', $$SELECT md5(string_agg(u::text, ' ' ORDER BY customer_id)) FROM rfm.unpack((SELECT rfm.profile_all('c' || i % 40, 'o' || i, '2024-01-01'::timestamptz + i * interval '1 hour', i, 'p' || i) FROM generate_series(1, 2000) i)) u(customer_id text, first_order_id text, first_product_id text, orders bigint, revenue numeric)$$),
('profile_all with ledgers and little memory', $$SELECT md5(string_agg(u::text, ' ' ORDER BY customer_id)) FROM rfm.unpack((SELECT rfm.profile_all(i % 9000, i, '2024-01-01'::timestamptz + i * interval '1 hour', i, i, NULL, NULL, 'UTC', 1, 0, 1, NULL) FROM generate_series(1, 20000) i)) u(customer_id int, revenue numeric, ledger rfm.ledger, next_hash bigint)$$),
('profile', $$SELECT md5(string_agg(u::text, ' ')) FROM (SELECT rfm.profile('o' || i, '2024-01-01'::timestamptz + i * interval '1 hour', i, 'p' || i) AS p FROM generate_series(1, 300) i) p, rfm.unpack(p) u(first_order_id text, first_product_id text, orders bigint, revenue numeric)$$),
('ledger', $$SELECT rfm.ledger('2024-01-01'::timestamptz + i * interval '20 days', i, 1, NULL, NULL, 'Europe/Berlin')::text FROM generate_series(1, 200) i$$),
('cohorts', $$SELECT md5(rfm.cohorts(date '2000-01-01' + i * 20, l)::text) FROM generate_series(1, 300) i, (SELECT rfm.ledger('2024-01-01'::timestamptz, 1, 1, NULL, NULL, 'UTC') AS l) l$$),
('margin_rate', $$SELECT rfm.margin_rate(l)::text FROM (SELECT rfm.ledger('2024-01-01'::timestamptz, i, 1, NULL, NULL, 'UTC') AS l FROM generate_series(1, 3) i) l$$),
('percentile_cutoffs', $$SELECT rfm.percentile_cutoffs(i)::text || rfm.percentile_cutoffs(i::float8, '{0.5}')::text || rfm.percentile_cutoffs(CASE WHEN i < 290 THEN i ELSE i * 1e-9 END, '{0.1,0.9}')::text FROM generate_series(1, 300) i$$),
('percent_sums', $$SELECT rfm.percent_sums(i * 1.5)::text || rfm.percent_sums(i * 1e-9)::text FROM generate_series(1, 300) i$$),
('monetary_bucket', $$SELECT md5(string_agg(b::text, ' ')) FROM (SELECT rfm.monetary_bucket(i * 1e-5) OVER (PARTITION BY i % 2) AS b FROM generate_series(1, 300) i) b$$),
('visits_all', $$SELECT md5(string_agg(u::text, ' ')) FROM rfm.unpack((SELECT rfm.visits_all('c' || i % 900, 's' || i, '2024-01-01'::timestamptz + i * interval '1 hour', b, '2024-03-01', 'UTC') FROM generate_series(1, 3000) i,
    (SELECT rfm.visit_boundaries('c' || i, '2024-01-01', '2024-01-03') AS b FROM generate_series(1, 800) i) b)) u(customer_id text, sessions_after_purchase bigint)$$),
('visits of profiles', $$SELECT md5(string_agg(u::text, ' ')) FROM (SELECT rfm.profile_all(i, i, '2024-01-01'::timestamptz, i) AS p FROM generate_series(1, 300) i) p,
    rfm.unpack(p, (SELECT rfm.visits_all(i % 300, i, '2024-02-01'::timestamptz, rfm.visit_boundaries(p), NULL, 'UTC') FROM generate_series(1, 50) i), 'UTC') u(customer_id int, sessions_after_purchase bigint)$$),
('tally', $$SELECT md5(rfm.tally((i % 5)::smallint, i, i, i, i % 300, 'v' || i % 200, md5(i::text)::uuid)::text) FROM generate_series(1, 500) i$$),
('gateway', $$SELECT md5(rfm.gateway('p' || i % 300, 'vip', i, i, i % 400, i % 2 = 0, 1)::text) FROM generate_series(1, 600) i$$),
('kaplan_meier', $$SELECT md5(string_agg(c::text, ' ')) FROM (SELECT rfm.kaplan_meier(i * 7 % 500, i % 2 = 0) AS s FROM generate_series(1, 900) i) s, rfm.kaplan_meier_curve(s) c$$),
('cell_sums', $$SELECT md5(string_agg(c::text, ' ')) FROM (SELECT rfm.profile_all(i, i, '2024-01-01'::timestamptz, i * 1e9::numeric) AS p FROM generate_series(1, 300) i) p,
    rfm.cell_sums(p, '2024-02-01', 'UTC', NULL, '{0.5}', '{1,2}', NULL, NULL, '{0.25,0.5}') c$$),
('roi_simulate', $$SELECT rfm.roi_simulate(1000, 0.1, 0.3, 80, response_n => 90, conversion_n => 50, runs => 500)::text$$),
('scores and segments', $$SELECT md5(string_agg(rfm.segment_of(rfm.rfm_score(i, i % 4, i * 1.5, '{50,100,200,400}')) || rfm.segment_of(555, rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules('classic') d))) || rfm.money(i), ' ')) FROM generate_series(1, 50) i$$);
