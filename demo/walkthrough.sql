-- A walk through the results of a model, for someone who sees them for the first time:
--
--     psql -X -q [-v model=shop] -f demo/walkthrough.sql DATABASE
--
-- It reads the views of the model and writes nothing. Columns without a name are bars, or a value
-- (●) in its 95 % interval (─). What a model without accounts, products or visits does not have is
-- left out. Lines are at most 100 characters wide.

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
SELECT CASE WHEN o.has_status AND s.excluded <> '{}' THEN 'Lines with status ' || array_to_string(s.excluded, ' or ') || ' do not count.'
            ELSE 'All lines count.' END AS counted
FROM (SELECT coalesce(excluded_statuses, '{Cancelled,Returned}') AS excluded, order_lines FROM settings) s,
     LATERAL (SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = s.order_lines AND attname = 'status' AND NOT attisdropped)) o(has_status) \gset
SELECT customers = 0 AS is_empty, EXISTS (SELECT FROM repurchase_curve WHERE days_since_first_order >= 7) AS has_curve,
       EXISTS (SELECT FROM repurchase_timing WHERE customers > 0) AS has_second_orders,
       EXISTS (SELECT FROM cohort_retention WHERE months_since > 0) AS has_cohorts,
       EXISTS (SELECT FROM roi WHERE campaign_order IS NOT NULL AND net_profit IS NULL) AS has_idle_campaigns
FROM overview \gset
\if :is_empty
\echo 'The model' :model 'has no customer yet: there is no purchase before its as_of.'
\echo 'SELECT * FROM rfm.check_model(':model_name'); says which order lines do not count, and why.'
\quit
\endif
\if :has_products
SELECT count(*) > 0 AS has_categories FROM gateway_products WHERE level = 'category' AND customers >= 30 \gset
\endif

\echo
\echo '1  HOW IS THE SHOP DOING?'
\echo '   Purchases before the moment below, money in the currency of the order lines.'
\echo '  ' :counted
\echo
\pset tuples_only on
SELECT '  ' AS "  ", rpad(x.name, 20), lpad(x.value, 22), ' ' || x.remark
FROM overview o, LATERAL (VALUES
    ('As of', to_char(o.as_of, 'YYYY-MM-DD HH24:MI TZ'), NULL),
    ('Registered', to_char(o.registered, 'FM999,999,999,990'),
     'of whom ' || to_char(o.prospects, 'FM999,999,999,990') || ' never bought'),
    ('Customers', to_char(o.customers, 'FM999,999,999,990'), 'with at least one order'),
    ('Orders', to_char(o.orders, 'FM999,999,999,990'), round(o.average_orders, 2) || ' per customer'),
    ('Revenue', to_char(o.revenue, 'FM999,999,999,999,990'), to_char(o.average_revenue, 'FM999,999,990') || ' per customer'),
    ('Margin', to_char(100 * o.margin_rate, 'FM990.0') || ' %', 'of the revenue is left after product cost'),
    ('Repurchase rate', to_char(100 * o.repurchase_rate, 'FM990.0') || ' %', 'of the customers ordered at least twice'),
    ('VIP', to_char(100 * o.vip_share, 'FM990.0') || ' %', 'of the customers are in the best segments'),
    ('Churn risk', to_char(100 * o.churn_risk_share, 'FM990.0') || ' %',
     'of the customers may go, with ' || to_char(100 * o.churn_risk_revenue_share, 'FM990.0') || ' % of the revenue')
) AS x(name, value, remark)
WHERE x.value IS NOT NULL;
\pset tuples_only off

\echo '2  WHAT KINDS OF CUSTOMERS ARE THERE?'
\echo '   Everyone is in one segment. %, with a bar: the share of the customers, and of the revenue.'
\echo '   Where the right bar is longer, few customers bring much. Average: revenue per customer.'
\echo
SELECT rpad(segment, 22) AS "Segment               ",
       customers AS "Customers", round(100 * customer_share::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * customer_share / longest)::int), 14) AS "              ",
       round(revenue) AS "    Revenue", round(100 * revenue_share::numeric, 1) AS "    %",
       rpad(repeat('█', greatest(0, round(14 * revenue_share / longest))::int), 14) AS "              ",
       round(average_revenue) AS " Average"
FROM segments, (SELECT max(greatest(customer_share, revenue_share)) AS longest FROM segments) s
ORDER BY segment_rank;

\echo '   The richest customer of each kind. Days: since the last purchase. R, F and M: the scores of'
\echo '   recency, frequency and money, from 1 to 5 by default; more is better.'
\echo
SELECT rpad(customer_id::text, 36) AS "Customer                            ", recency_days AS "   Days", orders AS " Orders",
       round(revenue, 2) AS "     Revenue", '  ' || r || ' ' || f || ' ' || m AS "  R F M", '  ' || rpad(segment, 22) AS "  Segment               "
FROM (SELECT DISTINCT ON (s.stage) c.*
      FROM customers c JOIN segments s USING (segment_rank)
      ORDER BY s.stage, c.revenue DESC, c.customer_id) x
ORDER BY segment_rank
LIMIT 5;

\echo '3  HOW MUCH DO A FEW CUSTOMERS MATTER?'
\echo '   The share of all revenue that the richest customers brought.'
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

\echo '   The combinations that earn most; a bar compares with the first. By default F is 3 for one'
\echo '   order, 4 for two and 5 for more.'
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
\echo '   Are promising customers worth more when they came back to look? Sessions after the first'
\echo '   order, counted from its last line and, to compare, from its first line. Average: revenue per'
\echo '   customer. Ratio: that to the average of those with 0 sessions.'
\echo
\echo '                                  From the last line           From the first line'
SELECT rpad(segment, 22) AS "Segment               ", rpad(activity_level, 10) AS "Sessions  ",
       customers AS "Customers", round(average_revenue) AS "Average", to_char(revenue_ratio, 'FM990.00') || ' x' AS " Ratio",
       published_customers AS "   Customers", round(published_average_revenue) AS "Average",
       to_char(published_average_revenue / first_value(nullif(published_average_revenue, 0))
                   OVER (PARTITION BY segment_rank ORDER BY activity_order), 'FM990.00') || ' x' AS " Ratio"
FROM promising_activity
WHERE activity_order = 1 OR customers > 0 OR published_customers > 0
ORDER BY segment_rank, activity_order;
\echo '   Where a basket logs a session per line, the right side measures the basket, not the return.'
\echo '   The ratio of few customers may be chance.'
\echo
\endif
\echo '   Who is about to leave? Growth: VIP, loyal and promising segments. Attention: once good, now'
\echo '   quiet. Churn risk: long without an order. %: the share of the customers, and of the revenue.'
\echo
SELECT rpad(risk_group, 22) AS "Group                 ",
       sum(customers) AS "Customers", round(100 * sum(customer_share)::numeric, 1) AS "    %",
       rpad(repeat('█', round(14 * sum(customer_share))::int), 14, '·') AS "              ",
       round(sum(revenue)) AS "    Revenue", round(100 * sum(revenue_share)::numeric, 1) AS "    %",
       rpad(repeat('█', greatest(0, least(14, round(14 * sum(revenue_share))))::int), 14, '·') AS "              "
FROM churn_risk
GROUP BY risk_group
ORDER BY min(segment_rank);

\if :has_second_orders
\echo '   How long until the second order? Percent of those who have one; the others are left out.'
\echo
SELECT rpad(bucket, 22) AS "Second order          ", rpad(speed_class, 6) AS "Speed ", sum(customers) AS "Customers",
       round(100 * sum(customers) / nullif(sum(sum(customers)) OVER (), 0), 1) AS "    %",
       rpad(repeat('█', round(40 * sum(customers) / nullif(sum(sum(customers)) OVER (), 0))::int), 40) AS "                                        "
FROM repurchase_timing
GROUP BY bucket_order, bucket, speed_class
ORDER BY bucket_order;

\endif
\echo '   How many of all first-time buyers order again? Who has not yet counts for as long as he has'
\echo '   been watched (Kaplan-Meier). At risk: those still watched without a second order, at least 30.'
\echo '   ● is the estimate; with 95 % confidence the true share lies within ─.'
\echo
\if :has_curve
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
\else
\echo '   Too few customers to tell.'
\echo
\endif

\echo '6  WHERE DO GOOD CUSTOMERS COME FROM?'
\if :has_products
\echo '   Does the first purchase tell? VIP needs a high amount, so that an expensive first basket makes'
\echo '   VIPs. Free of that are 2nd %, those with a second order within a year (● in its 95 % interval),'
\echo '   and After, the revenue per customer after the first order, with its 95 % interval.'
\echo
\if :has_categories
SELECT rpad(CASE WHEN length(name) > 22 THEN left(name, 21) || '…' ELSE name END, 22) AS "First category        ",
       customers AS "Customers", to_char(100 * vip_share, '990.0') AS " VIP %",
       to_char(100 * second_order_365_rate, '990.0') AS " 2nd %",
       rpad(repeat(' ', floor(24 * low / longest)::int) || repeat('─', (round(24 * second_order_365_rate / longest) - floor(24 * low / longest))::int)
            || '●' || repeat('─', (ceil(24 * high / longest) - round(24 * second_order_365_rate / longest))::int), 25) AS "                         ",
       round(revenue_after_first_order) AS "   After",
       lpad(round(revenue_after_first_order_low::numeric) || ' – ' || round(revenue_after_first_order_high::numeric), 11) AS "   Interval"
FROM (SELECT *, coalesce(second_order_365_rate_low, second_order_365_rate) AS low,
             coalesce(second_order_365_rate_high, second_order_365_rate) AS high,
             nullif(max(coalesce(second_order_365_rate_high, second_order_365_rate)) OVER (), 0) AS longest
      FROM (SELECT * FROM gateway_products WHERE level = 'category' AND customers >= 30 ORDER BY customers DESC, name LIMIT 10) x) y
ORDER BY customers DESC, name;
\echo '   The largest categories, with at least 30 customers. Where intervals overlap much, a difference'
\echo '   may be chance.'
\echo
\else
\echo '   Too few customers to tell: no category has 30.'
\echo
\endif
\endif
\if :has_accounts
\echo '   Which channel brings good customers? Active: VIP and promising. Rate %: the share of VIP among'
\echo '   them, ● in its 95 % interval.'
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
SELECT sum(customers) > 0 AS has_sign_ups FROM first_purchase_timing \gset
\if :has_sign_ups
\echo '   Who bought soon after sign-up? Again %: with at least two orders; who bought earlier had more'
\echo '   time for them, which alone raises it. Shares of few customers may be chance.'
\echo
SELECT rpad(bucket, 22) AS "First order           ", customers AS "Customers", round(100 * repurchase_rate::numeric, 1) AS "Again %",
       round(100 * vip_share::numeric, 1) AS " VIP %", round(average_revenue) AS " Average"
FROM first_purchase_timing
WHERE customers > 0
ORDER BY bucket_order;
\endif

\endif
\if :has_dimension
\echo '   By' :dimension', the largest first. Risk %: the share that may be lost. VIP %, with a bar: the'
\echo '   share in the best segments. Do not trust shares of few customers.'
\echo
SELECT rpad(coalesce(value, '(unknown)'), 22) AS "Value                 ",
       customers AS "Customers", round(revenue) AS "    Revenue", round(100.0 * risk / customers, 1) AS "Risk %",
       round(100.0 * vip / customers, 1) AS "VIP %", rpad(repeat('█', round(0.3 * 100.0 * vip / customers)::int), 30) AS "                              "
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
\echo '   Percent of those with their first order in a month who bought in the first, second ... month'
\echo '   after it. ( ): that month is not over yet. Of few customers, some percent may be chance.'
\echo
\if :has_cohorts
SELECT to_char(cohort_month, 'YYYY-MM') || repeat(' ', 15) AS "First order           ", max(cohort_customers) AS "Customers",
       max(cell) FILTER (WHERE months_since = 1) AS "Month 1", max(cell) FILTER (WHERE months_since = 2) AS "      2",
       max(cell) FILTER (WHERE months_since = 3) AS "      3", max(cell) FILTER (WHERE months_since = 4) AS "      4",
       max(cell) FILTER (WHERE months_since = 5) AS "      5", max(cell) FILTER (WHERE months_since = 6) AS "      6",
       max(cell) FILTER (WHERE months_since = 7) AS "      7"
FROM (SELECT *, lpad(CASE WHEN is_complete THEN to_char(100 * retention_rate, 'FM990.0') || ' '
                          ELSE '(' || to_char(100 * retention_rate, 'FM990.0') || ')' END, 7) AS cell
      FROM cohort_retention) x
WHERE months_since > 0 AND cohort_month > (SELECT max(cohort_month) FROM cohort_retention) - interval '8 months'
GROUP BY cohort_month
ORDER BY cohort_month;
\else
\echo '   The first orders are too young to tell.'
\echo
\endif

\echo '8  WHAT TO DO, FOR WHOM, AND WHEN?'
\echo '   The texts are suggestions, rows of the table action_texts: edit them.'
\echo
\pset tuples_only on
SELECT '  ' AS "  ", text
FROM action_plan, LATERAL (VALUES
    (1, segment || ': ' || to_char(customers, 'FM999,999,999,990') || CASE customers WHEN 1 THEN ' customer' ELSE ' customers' END
        || ', revenue so far ' || to_char(revenue, 'FM999,999,999,999,990')),
    (2, '  Goal  ' || goal), (3, '  What  ' || action), (4, '  When  ' || timing)) AS x(line, text)
WHERE customers > 0 AND text IS NOT NULL
ORDER BY segment_rank, line;
\pset tuples_only off

\echo '9  WHAT WOULD IT BRING?'
\echo '   What to expect of campaigns. How many respond and buy are assumptions; audience, order value'
\echo '   and margin come from the model. Buyers: those who would not have bought anyway. ROI %: profit'
\echo '   per cost. Break-even: the share of those who respond that must buy, so that the profit is 0.'
\echo
SELECT rpad(campaign, 30) AS "Campaign                      ", audience AS "Audience", round(added_buyers) AS "  Buyers",
       round(added_revenue) AS "Revenue", round(cost) AS "   Cost", round(net_profit) AS " Profit",
       to_char(roi_percent, '9990') || CASE WHEN note LIKE 'ROI is %' THEN '*' ELSE ' ' END AS " ROI %",
       to_char(100 * break_even_conversion, '990.0') || ' %' AS "Break-even"
FROM roi
WHERE audience > 0
ORDER BY campaign_order NULLS LAST;
\if :has_idle_campaigns
\pset tuples_only on
SELECT '  ' AS "  ", text
FROM roi, LATERAL (VALUES (1, 'Without figures: ' || campaign), (2, '  ' || note)) AS x(line, text)
WHERE campaign_order IS NOT NULL AND net_profit IS NULL AND text IS NOT NULL
ORDER BY campaign_order, line;
\pset tuples_only off
\endif
\echo '   * An identity, no finding: margin, incentive and operating rate alone give this ROI, whatever'
\echo '   the response, as nobody is taken to buy anyway and nothing else is taken to cost.'
\echo '   In the total each customer counts once, for the first campaign that addresses him.'
\echo '   There is no interval, as the rates are assumptions. Once you have tried one, say in the table'
\echo '   campaigns on how many customers (response_n, conversion_n): roi then has one of the profit.'
\echo
SELECT o.as_of AT TIME ZONE coalesce(s.time_zone, 'UTC') - interval '6 months' AS half_a_year_ago,
       (SELECT c.customer_id FROM customers c ORDER BY c.segment_rank, c.recency_days DESC, c.customer_id LIMIT 1) AS somebody
FROM overview o, settings s \gset
\echo '10 WHO MOVED IN HALF A YEAR?'
\echo '   From which segment to which, the greatest moves first. Revenue: what those customers brought'
\echo '   up to now. New: no customer yet then. Gone: no order in the window now.'
\echo
SELECT rpad(source, 22) AS "From                  ", rpad(target, 22) AS "To                    ", customers AS "Customers", round(revenue) AS "    Revenue"
FROM segment_migration(:'half_a_year_ago')
WHERE source <> target
ORDER BY customers DESC, source_rank, target_rank
LIMIT 10;

\echo '11 WHY IS THIS CUSTOMER HERE, AND WHAT NEXT?'
\echo '   Customer' :somebody', of the best segment the one who bought longest ago.'
\echo
SELECT CASE w.line WHEN 1 THEN rpad(CASE e.topic WHEN 'next segment' THEN 'next ' || e.item WHEN 'waiting' THEN 'by waiting' ELSE e.item END, 16)
            ELSE '' END AS "What            ",
       CASE w.line WHEN 1 THEN rpad(e.value, 22) ELSE '' END AS "Value                 ", rpad(w.words[1], 58) AS "Why                                                       "
FROM explain_customer(:'somebody') e, LATERAL regexp_matches(e.explanation, '(.{1,58})(?:\s+|$)', 'g') WITH ORDINALITY w(words, line)
WHERE e.topic IN ('value', 'score', 'segment', 'next segment', 'waiting') AND e.item NOT IN ('segment_rank', 'stage', 'date')
ORDER BY e.step, w.line;

\echo '12 AND NOW?'
\echo '   All this comes from views in the schema' :model_schema'.'
\echo '   In psql, \\dv+ lists them, those marked Internal being its own, and \\d+ explains the columns:'
\echo
\echo '   \\dv+ ':model_schema'.*'
\echo '   \\d+ ':model_schema'.segments'
\echo
\echo '   Ask for more:'
\echo
\echo '   SELECT * FROM ':model_schema'.customers WHERE segment = ''Need Attention'' ORDER BY revenue DESC;'
\if :has_products
SELECT format('%s.gateway_lift(%L, %L);', :'model_schema', max(name) FILTER (WHERE place = 1), max(name) FILTER (WHERE place = 2)) AS call,
       count(*) > 1 AS has_two
FROM (SELECT name, row_number() OVER (ORDER BY customers DESC, name) AS place FROM gateway_products WHERE level = 'category') x \gset
\if :has_two
\echo '   SELECT * FROM' :call
\endif
\endif
SELECT coalesce(min(campaign_order), 0) AS tried, format('%s.roi_sensitivity(%L);', :'model_schema', (array_agg(campaign ORDER BY campaign_order))[1]) AS call,
       count(*) > 0 AS has_campaign
FROM roi WHERE campaign_order IS NOT NULL AND net_profit IS NOT NULL \gset
\if :has_campaign
\echo '   SELECT * FROM' :call
\endif
\echo '   SELECT severity, finding, what_to_do FROM rfm.check_model(':model_name');'
\echo
\echo '   Change something:'
\echo
\if :has_campaign
\echo '   UPDATE ':model_schema'.campaigns SET response_rate = 0.12, response_n = 250 WHERE campaign_order = ':tried';'
\echo '   SELECT campaign, net_profit_p05, net_profit, net_profit_p95 FROM ':model_schema'.roi;'
\endif
\echo '   SELECT rfm.configure_model(':model_name', lookback => ''2 years'');'
\echo '   CALL rfm.refresh(':model_name');'
\echo
\echo '   README.md tells how to read the results, and how to make a model of your own tables.'
\echo

RESET search_path;
