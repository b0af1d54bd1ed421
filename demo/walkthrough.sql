-- A walk through the results of a model, for someone who sees them for the first time:
--
--     psql -X -q [-v model=shop] -f demo/walkthrough.sql DATABASE
--
-- It reads the views of the model and writes nothing. Columns without a name are bars, or a value
-- (●) in its 95 % interval (─). What a model without accounts, products or visits does not have is
-- left out.

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
SELECT to_regclass('promising_activity') IS NOT NULL AS has_visits, to_regclass('gateway_products') IS NOT NULL AS has_products,
       to_regclass('channel_maturity') IS NOT NULL AS has_accounts \gset
SELECT coalesce(max(dimension) FILTER (WHERE dimension = 'country'),
                min(dimension) FILTER (WHERE dimension NOT IN ('channel', 'first_category')), '') AS dimension
FROM segment_breakdown \gset
SELECT :'dimension' <> '' AS has_dimension \gset

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
    ('Margin', to_char(100 * o.margin_rate, 'FM990.0') || ' %', 'of the revenue, after product cost'),
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

\echo '   The richest of each kind. Days: since the last purchase.'
\echo
SELECT rpad(customer_id::text, 22) AS "Customer              ", recency_days AS "     Days", orders AS "     Orders",
       round(revenue, 2) AS "      Revenue", '  ' || r || ' ' || f || ' ' || m AS "  R F M", '  ' || segment AS "  Segment"
FROM (SELECT DISTINCT ON (s.stage) c.*
      FROM customers c JOIN segments s USING (segment_rank)
      ORDER BY s.stage, c.revenue DESC, c.customer_id) x
ORDER BY segment_rank
LIMIT 5;

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
\echo '   Percent of all revenue, by recency (R 5 bought lately) and by money (M 5 spent most).'
\echo
\pset tuples_only on
SELECT '  ' AS "  ", '     ' || string_agg(lpad('M ' || m, 8), '' ORDER BY m) FROM (SELECT DISTINCT m FROM score_cells) x
UNION ALL
SELECT '  ', * FROM (
    SELECT rpad('R ' || r, 5) || string_agg(lpad(CASE WHEN revenue <> 0 THEN to_char(100 * revenue / total, 'FM990.0') ELSE '·' END, 8), '' ORDER BY m)
    FROM (SELECT r, m, sum(revenue) AS revenue, nullif(sum(sum(revenue)) OVER (), 0) AS total FROM score_cells GROUP BY r, m) x
    GROUP BY r ORDER BY r DESC) y;
\pset tuples_only off

\echo '   The cells that earn most. Frequency, in the middle: by default 3 is one order, 4 two, 5 more.'
\echo
SELECT r || ' ' || f || ' ' || m AS "R F M", rpad(segment, 22) AS "Segment               ",
       customers AS "Customers", round(revenue) AS "    Revenue", round(revenue / customers) AS " Average",
       rpad(repeat('█', round(30 * revenue / max(revenue) OVER ())::int), 30) AS "                              "
FROM score_cells
WHERE customers > 0 AND revenue > 0
ORDER BY revenue DESC, r DESC, f DESC, m DESC
LIMIT 6;

\echo '5  WHERE ARE CUSTOMERS LOST?'
\if :has_visits
\echo '   Are promising customers worth more when they came back to look?'
\echo
SELECT rpad(segment, 22) AS "Segment               ", rpad(activity_level, 10) AS "Sessions  ",
       customers AS "Customers", round(average_revenue, 2) AS " Average", to_char(revenue_ratio, 'FM990.00') || ' x' AS " Ratio",
       published_customers AS "Published: all", round(published_average_revenue, 2) AS " Average",
       to_char(published_average_revenue / first_value(nullif(published_average_revenue, 0))
                   OVER (PARTITION BY segment_rank ORDER BY activity_order), 'FM990.00') || ' x' AS " Ratio"
FROM promising_activity
WHERE activity_order = 1 OR customers > 0 OR published_customers > 0
ORDER BY segment_rank, activity_order;
\echo '   Left: sessions after the last line of the first order. Right, as once published: after its'
\echo '   first line. Where a basket logs a session per line, that measures the basket, not the return.'
\echo
\endif
\echo '   Who is about to leave? Attention: once good, now quiet. Churn risk: one order, long ago.'
\echo
SELECT rpad(risk_group, 22) AS "Group                 ",
       sum(customers) AS "Customers", round(100 * sum(customer_share)::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * sum(customer_share))::int), 14, '·') AS "              ",
       round(sum(revenue)) AS "    Revenue", round(100 * sum(revenue_share)::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * sum(revenue_share))::int), 14, '·') AS "              "
FROM churn_risk
GROUP BY risk_group
ORDER BY min(segment_rank);

\echo '   Days from the first to the second order, of those who have one.'
\echo
SELECT rpad(bucket, 22) AS "Second order          ", rpad(speed_class, 6) AS "Speed ", sum(customers) AS "Customers",
       round(100 * sum(customers) / nullif(sum(sum(customers)) OVER (), 0), 1) AS "    %",
       rpad(repeat('█', round(40 * sum(customers) / nullif(sum(sum(customers)) OVER (), 0))::int), 40) AS "                                        "
FROM repurchase_timing
GROUP BY bucket_order, bucket, speed_class
ORDER BY bucket_order;

\echo '   How many of all first-time buyers order again? Who has not yet counts for as long as he has'
\echo '   been watched (Kaplan-Meier).'
\echo
SELECT rpad('within ' || d || ' days', 22) AS "Second order          ", c.customers_at_risk AS "  At risk",
       to_char(100 * c.cumulative_repurchase_rate, '990.0') AS "     %",
       to_char(100 * c.cumulative_repurchase_rate_low, '990.0') || ' –' || to_char(100 * c.cumulative_repurchase_rate_high, '990.0') AS "  95 % interval",
       rpad(repeat(' ', floor(40 * coalesce(c.cumulative_repurchase_rate_low, c.cumulative_repurchase_rate))::int)
            || repeat('─', (round(40 * c.cumulative_repurchase_rate) - floor(40 * coalesce(c.cumulative_repurchase_rate_low, c.cumulative_repurchase_rate)))::int) || '●'
            || repeat('─', (ceil(40 * coalesce(c.cumulative_repurchase_rate_high, c.cumulative_repurchase_rate)) - round(40 * c.cumulative_repurchase_rate))::int), 41)
           AS "                                         "
FROM (VALUES (7), (30), (60), (90), (180), (365), (730)) v(d),
     LATERAL (SELECT * FROM repurchase_curve WHERE days_since_first_order <= d ORDER BY days_since_first_order DESC LIMIT 1) c
WHERE d <= (SELECT max(days_since_first_order) FROM repurchase_curve)
ORDER BY d;

\echo '6  WHERE DO GOOD CUSTOMERS COME FROM?'
\if :has_products
\echo '   What they bought first. VIP needs a high amount, which an expensive first basket brings along;'
\echo '   the second order within a year and the revenue after the first order are free of that.'
\echo
SELECT rpad(CASE WHEN length(name) > 22 THEN left(name, 21) || '…' ELSE name END, 22) AS "First category        ",
       customers AS "Customers", to_char(100 * vip_share, '990.0') AS " VIP %",
       to_char(100 * second_order_365_rate, '990.0') AS " 2nd %",
       rpad(repeat(' ', floor(24 * low / longest)::int) || repeat('─', (round(24 * second_order_365_rate / longest) - floor(24 * low / longest))::int)
            || '●' || repeat('─', (ceil(24 * high / longest) - round(24 * second_order_365_rate / longest))::int), 25) AS "                         ",
       round(revenue_after_first_order, 2) AS "   After",
       lpad(round(revenue_after_first_order_low::numeric) || ' – ' || round(revenue_after_first_order_high::numeric), 11) AS "   Interval"
FROM (SELECT *, coalesce(second_order_365_rate_low, second_order_365_rate) AS low,
             coalesce(second_order_365_rate_high, second_order_365_rate) AS high,
             nullif(max(coalesce(second_order_365_rate_high, second_order_365_rate)) OVER (), 0) AS longest
      FROM (SELECT * FROM gateway_products WHERE level = 'category' ORDER BY customers DESC, name LIMIT 10) x) y
ORDER BY customers DESC, name;
\echo '   Where intervals overlap much, the order of the categories may be chance.'
\echo
\endif
\if :has_accounts
\echo '   Which channel brings them. Active: VIP and promising; the rate is the share of VIP among them.'
\echo
SELECT rpad(coalesce(channel, '(unknown)'), 22) AS "Channel               ", customers AS "Customers", active_customers AS "   Active",
       to_char(100 * maturity_rate, '990.0') AS "Rate %",
       to_char(100 * maturity_rate_low, '990.0') || ' –' || to_char(100 * maturity_rate_high, '990.0') AS "  95 % interval",
       rpad(repeat(' ', floor(28 * maturity_rate_low / longest)::int)
            || repeat('─', (round(28 * maturity_rate / longest) - floor(28 * maturity_rate_low / longest))::int)
            || '●' || repeat('─', (ceil(28 * maturity_rate_high / longest) - round(28 * maturity_rate / longest))::int), 29) AS "                             "
FROM (SELECT *, nullif(max(maturity_rate_high) OVER (), 0) AS longest FROM channel_maturity) x
ORDER BY customers DESC, channel
LIMIT 10;
\pset tuples_only on
SELECT '  ' AS "  ", CASE
    WHEN max(p_value) < 0.001 THEN 'The channels differ (p < 0.001).'
    WHEN max(p_value) < 0.05 THEN 'The channels differ (p = ' || trim(to_char(max(p_value), '0.000')) || ').'
    WHEN max(p_value) IS NOT NULL THEN 'The channels do not differ more than by chance (p = '
        || trim(to_char(max(p_value), '0.00')) || '): no reason to shift the budget.'
    ELSE 'Whether the channels differ cannot be told: too few customers, or a single channel.' END
FROM channel_maturity;
\pset tuples_only off
\echo '   Days from sign-up to the first order. Who bought earlier had more time to order again; that'
\echo '   alone raises the rate.'
\echo
SELECT rpad(bucket, 22) AS "First order           ", customers AS "Customers", round(100 * repurchase_rate::numeric, 1) AS "Again %",
       round(100 * vip_share::numeric, 1) AS " VIP %", round(average_revenue, 2) AS " Average"
FROM first_purchase_timing
WHERE customers > 0
ORDER BY bucket_order;

\endif
\if :has_dimension
\echo '   By' :dimension'. The bar is the share of VIP; do not trust it where customers are few.'
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
LIMIT 6;

\endif
\if :has_products \else \if :has_accounts \else
\echo '   The model has neither accounts nor products: it cannot tell.'
\echo
\endif \endif
\echo '7  WHO COMES BACK, MONTH BY MONTH?'
\echo '   Percent of those with their first order in a month who bought again so many months later.'
\echo '   ( ): the month is not over yet.'
\echo
SELECT to_char(cohort_month, 'YYYY-MM') || repeat(' ', 15) AS "First order           ", max(cohort_customers) AS "Customers",
       max(cell) FILTER (WHERE months_since = 0) AS "Month 0", max(cell) FILTER (WHERE months_since = 1) AS "      1",
       max(cell) FILTER (WHERE months_since = 2) AS "      2", max(cell) FILTER (WHERE months_since = 3) AS "      3",
       max(cell) FILTER (WHERE months_since = 4) AS "      4", max(cell) FILTER (WHERE months_since = 5) AS "      5",
       max(cell) FILTER (WHERE months_since = 6) AS "      6"
FROM (SELECT *, lpad(CASE WHEN is_complete THEN to_char(100 * retention_rate, 'FM990.0') || ' '
                          ELSE '(' || to_char(100 * retention_rate, 'FM990.0') || ')' END, 7) AS cell
      FROM cohort_retention) x
WHERE cohort_month > (SELECT max(cohort_month) FROM cohort_retention) - interval '8 months'
GROUP BY cohort_month
ORDER BY cohort_month;

\echo '8  WHAT TO DO, FOR WHOM, AND WHEN?'
\echo '   The goal, what to do, and when. The texts are rows of the table action_texts: edit them.'
\echo
\pset tuples_only on
SELECT '  ' AS "  ", text
FROM action_plan, LATERAL (VALUES
    (1, segment || ': ' || to_char(customers, 'FM999,999,999,990') || ' customers, revenue ' || to_char(revenue, 'FM999,999,999,999,990')),
    (2, '   ' || goal), (3, '   ' || action), (4, '   ' || timing)) AS x(line, text)
WHERE customers > 0 AND text IS NOT NULL
ORDER BY segment_rank, line;
\pset tuples_only off

\echo '9  WHAT WOULD IT BRING?'
\echo '   Response and conversion are assumptions; audience, order value and margin are computed.'
\echo '   Break-even: the conversion rate at which the profit is 0.'
\echo
SELECT rpad(campaign, 30) AS "Campaign                      ", audience AS "Audience", round(added_buyers) AS "  Buyers",
       round(added_revenue) AS "Revenue", round(cost) AS "   Cost", round(net_profit) AS " Profit",
       to_char(roi_percent, '9990') || CASE WHEN note LIKE 'ROI is %' THEN '*' ELSE ' ' END AS " ROI %",
       to_char(100 * break_even_conversion, '990.0') || ' %' AS "Break-even"
FROM roi
ORDER BY campaign_order NULLS LAST;
\echo '   * An identity, no finding: margin, incentive and operating rate alone give it, whatever the'
\echo '   response, as nobody is taken to buy anyway and nothing else is taken to cost.'
\echo '   In the total each customer counts once. Say in the table campaigns on how many customers a rate'
\echo '   was observed (response_n, conversion_n), and roi has an interval of the profit.'
\echo
SELECT o.as_of AT TIME ZONE coalesce(s.time_zone, 'UTC') - interval '6 months' AS half_a_year_ago,
       quote_literal((SELECT c.customer_id FROM customers c ORDER BY c.segment_rank, c.recency_days DESC, c.customer_id LIMIT 1)) AS somebody
FROM overview o, settings s \gset
\echo '10 WHO MOVED IN HALF A YEAR?'
\echo '   From which segment to which, the greatest moves first. Counted from the order lines up to then and now.'
\echo
SELECT rpad(source, 22) AS "From                  ", rpad(target, 22) AS "To                    ", customers AS "Customers", round(revenue) AS "    Revenue"
FROM segment_migration(:'half_a_year_ago')
WHERE source <> target
ORDER BY customers DESC, source_rank, target_rank
LIMIT 10;

\echo '11 WHY IS THIS CUSTOMER HERE, AND WHAT NEXT?'
\echo '   The customer of the best segments who is nearest to leaving them.'
\echo
SELECT rpad(topic, 16) AS "                ", rpad(item, 22) AS "                      ", rpad(value, 22) AS "                      ", explanation
FROM explain_customer(:somebody)
WHERE topic IN ('value', 'score', 'segment', 'next segment', 'waiting') AND item NOT IN ('segment_rank', 'stage', 'date');

\echo '12 AND NOW?'
\echo '   All this comes from views in the schema' :model_schema'. Their columns are explained by \\d+. In psql:'
\echo
\echo '   \\dv+ ':model_schema'.*'
\echo '   SELECT * FROM ':model_schema'.customers WHERE segment = ''Need Attention'' ORDER BY revenue DESC;'
\if :has_products
SELECT format('%s.gateway_lift(%L, %L);', :'model_schema', max(name) FILTER (WHERE place = 1), max(name) FILTER (WHERE place = 2)) AS call,
       count(*) > 1 AS has_two
FROM (SELECT name, row_number() OVER (ORDER BY customers DESC, name) AS place FROM gateway_products WHERE level = 'category') x \gset
\if :has_two
\echo '   SELECT * FROM' :call
\endif
\endif
SELECT format('%s.roi_sensitivity(%L);', :'model_schema', (SELECT campaign FROM campaigns ORDER BY campaign_order LIMIT 1)) AS call \gset
\echo '   SELECT * FROM' :call
\echo '   UPDATE ':model_schema'.campaigns SET response_rate = 0.12, response_n = 250 WHERE campaign_order = 1;'
\echo '   SELECT campaign, net_profit_p05, net_profit, net_profit_p95 FROM ':model_schema'.roi;'
\echo '   SELECT rfm.configure_model(':model_name', lookback => ''2 years'');'
\echo '   CALL rfm.refresh(':model_name');'
\echo '   SELECT * FROM rfm.check_model(':model_name');'
\echo

RESET search_path;
