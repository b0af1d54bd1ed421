-- A walk through the results of a model, for someone who sees them for the first time:
--
--     psql -X -q [-v model=shop] -f demo/walkthrough.sql DATABASE
--
-- It reads the views of the model and writes nothing. Columns without a name are bars.

\set ON_ERROR_STOP on
\if :{?model} \else \set model shop \endif
\encoding UTF8
\pset pager off
\pset expanded off
\pset format aligned
\pset linestyle unicode
\pset border 0
\pset footer off
\pset null ''
\pset numericlocale on
SELECT quote_ident(:'model') AS model_schema, quote_literal(:'model') AS model_name \gset
SELECT set_config('search_path', :'model_schema', false) \g /dev/null
SELECT coalesce(max(dimension) FILTER (WHERE dimension = 'country'), max(dimension) FILTER (WHERE dimension = 'channel'),
                min(dimension), 'none') AS dimension
FROM segment_breakdown \gset
SELECT quote_literal(:'dimension') AS dimension_name \gset

\echo
\echo '1  HOW IS THE SHOP DOING?'
\echo '   Purchases before the moment below. Cancelled and returned lines do not count.'
\echo
\pset tuples_only on
SELECT '  ' AS "  ", rpad(x.name, 20), lpad(x.value, 22), ' ' || x.remark
FROM overview o, LATERAL (VALUES
    ('As of', to_char(o.as_of, 'YYYY-MM-DD HH24:MI TZ'), NULL),
    ('Registered', to_char(o.registered, 'FM999,999,999,990'), NULL),
    ('Customers', to_char(o.customers, 'FM999,999,999,990'),
     to_char(100.0 * o.customers / nullif(o.registered, 0), 'FM990.0') || ' % of the registered'),
    ('Orders', to_char(o.orders, 'FM999,999,999,990'), round(o.average_orders, 2) || ' per customer'),
    ('Revenue', to_char(o.revenue, 'FM999,999,999,999,990'), to_char(o.average_revenue, 'FM999,999,990') || ' per customer'),
    ('Repurchase rate', to_char(100 * o.repurchase_rate, 'FM990.0') || ' %', 'of the customers ordered at least twice'),
    ('VIP', to_char(100 * o.vip_share, 'FM990.0') || ' %', 'of the customers'),
    ('Churn risk', to_char(100 * o.churn_risk_share, 'FM990.0') || ' %',
     'of the customers, with ' || to_char(100 * o.churn_risk_revenue_share, 'FM990.0') || ' % of the revenue')
) AS x(name, value, remark)
WHERE x.value IS NOT NULL;
\pset tuples_only off

\echo '2  WHAT KINDS OF CUSTOMERS ARE THERE?'
\echo '   Everyone is in one segment. Where the right bar is longer, few customers bring much revenue.'
\echo
SELECT rpad(segment, 22) AS "Segment               ",
       customers AS "Customers", round(100 * customer_share::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * customer_share / longest)::int), 14) AS "              ",
       round(revenue) AS "    Revenue", round(100 * revenue_share::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * revenue_share / longest)::int), 14) AS "              ",
       round(average_revenue) AS " Average"
FROM segments, (SELECT max(greatest(customer_share, revenue_share)) AS longest FROM segments) s
ORDER BY segment_rank;

\echo '3  HOW MUCH DO A FEW CUSTOMERS MATTER?'
\echo '   The share of the richest customers in the revenue.'
\echo
\pset tuples_only on
SELECT '  ' AS "  ", 'richest ' || lpad(customer_percentile::text, 3) || ' %',
       rpad(repeat('█', least(60, round(60 * cumulative_revenue_share))::int), 60, '·'),
       to_char(100 * cumulative_revenue_share, '990.0') || ' %'
FROM pareto
WHERE customer_percentile IN (1, 5, 10, 20, 50, 100) AND cumulative_revenue_share IS NOT NULL
ORDER BY customer_percentile;
\pset tuples_only off

\echo '4  WHICH SCORES EARN MOST?'
\echo '   Recency, frequency and monetary score, 5 is best. 1 3 3: long ago, one order, a fair sum.'
\echo
SELECT r || ' ' || f || ' ' || m AS "R F M", rpad(segment, 22) AS "Segment               ",
       customers AS "Customers", round(revenue) AS "    Revenue", round(revenue / customers) AS " Average",
       rpad(repeat('█', round(30 * revenue / max(revenue) OVER ())::int), 30) AS "                              "
FROM score_cells
WHERE customers > 0 AND revenue > 0
ORDER BY revenue DESC, r DESC, f DESC, m DESC
LIMIT 8;

\echo '5  WHO IS ABOUT TO LEAVE?'
\echo '   Growth: buying. Attention: once good, now quiet. Churn risk: one order, long ago.'
\echo
SELECT rpad(risk_group, 22) AS "Group                 ",
       sum(customers) AS "Customers", round(100 * sum(customer_share)::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * sum(customer_share))::int), 14, '·') AS "              ",
       round(sum(revenue)) AS "    Revenue", round(100 * sum(revenue_share)::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * sum(revenue_share))::int), 14, '·') AS "              "
FROM churn_risk
GROUP BY risk_group
ORDER BY min(segment_rank);

\echo '6  WHERE DO THE BEST ONES COME FROM?'
\echo '   Shares by' :dimension'. The bar is the share of VIP; do not trust it where customers are few.'
\echo
SELECT rpad(coalesce(value, '(unknown)'), 22) AS "Value                 ",
       customers AS "Customers", round(revenue) AS "    Revenue", round(100.0 * risk / customers, 1) AS "Risk %",
       round(100.0 * vip / customers, 1) AS "VIP %", rpad(repeat('█', round(100.0 * vip / customers)::int), 30) AS "                              "
FROM (SELECT b.value, sum(b.customers) AS customers, sum(b.revenue) AS revenue,
             coalesce(sum(b.customers) FILTER (WHERE s.stage = 'risk'), 0) AS risk,
             coalesce(sum(b.customers) FILTER (WHERE s.stage = 'vip'), 0) AS vip
      FROM segment_breakdown b JOIN segments s USING (segment_rank)
      WHERE b.dimension = :'dimension'
      GROUP BY b.value) x
ORDER BY customers DESC, value
LIMIT 8;

\echo '7  WHAT DO SUCH CUSTOMERS LOOK LIKE?'
\echo '   The richest of each kind. Days: since the last purchase.'
\echo
SELECT rpad(customer_id::text, 22) AS "Customer              ", recency_days AS "     Days", orders AS "     Orders",
       round(revenue, 2) AS "      Revenue", '  ' || r || ' ' || f || ' ' || m AS "  R F M", '  ' || segment AS "  Segment"
FROM (SELECT DISTINCT ON (s.stage) c.*
      FROM customers c JOIN segments s USING (segment_rank)
      ORDER BY s.stage, c.revenue DESC, c.customer_id) x
ORDER BY segment_rank
LIMIT 5;

\echo '8  AND NOW?'
\echo '   All this comes from views in the schema' :model_schema'. Their columns are explained by \\d+. In psql:'
\echo
\echo '   \\dv+ ':model_schema'.*'
\echo '   SELECT * FROM ':model_schema'.customers WHERE segment = ''Need Attention'' ORDER BY revenue DESC;'
\echo '   SELECT * FROM ':model_schema'.segment_breakdown WHERE dimension = ':dimension_name';'
\echo '   SELECT rfm.configure_model(':model_name', lookback => ''2 years'');'
\echo '   CALL rfm.refresh(':model_name');'
\echo

RESET search_path;
