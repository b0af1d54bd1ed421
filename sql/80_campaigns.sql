-- 80_campaigns: what a campaign brings and costs.

CREATE FUNCTION rfm.roi_simulate(audience bigint, response_rate double precision, conversion_rate double precision, order_value numeric,
                                 incentive_rate double precision DEFAULT 0.15, operating_rate double precision DEFAULT 0.05,
                                 margin_rate double precision DEFAULT 1, baseline_rate double precision DEFAULT 0,
                                 contact_cost numeric DEFAULT 0, fixed_cost numeric DEFAULT 0,
                                 response_n bigint DEFAULT NULL, conversion_n bigint DEFAULT NULL,
                                 runs integer DEFAULT 10000, seed bigint DEFAULT 0,
                                 OUT responders numeric, OUT buyers numeric, OUT added_buyers numeric, OUT added_revenue numeric,
                                 OUT gross_profit numeric, OUT cost numeric, OUT net_profit numeric,
                                 OUT roi_percent double precision, OUT roas_percent double precision, OUT break_even_conversion double precision,
                                 OUT net_profit_p05 numeric, OUT net_profit_p50 numeric, OUT net_profit_p95 numeric,
                                 OUT probability_of_profit double precision)
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'rfm_roi_simulate';
COMMENT ON FUNCTION rfm.roi_simulate(bigint, double precision, double precision, numeric, double precision, double precision, double precision, double precision, numeric, numeric, bigint, bigint, integer, bigint) IS
'What a campaign brings and costs. Expected, in decimal, rounded to 4 decimals: responders = audience * response_rate; buyers = responders * conversion_rate; added_buyers = responders * (conversion_rate - baseline_rate); added_revenue = added_buyers * order_value; gross_profit = margin_rate * added_revenue; cost = incentive_rate * buyers * order_value + operating_rate * added_revenue + contact_cost * audience + fixed_cost; net_profit = gross_profit - cost. roi_percent = 100 * net_profit / cost and roas_percent = 100 * added_revenue / cost, NULL unless cost is above 0; with the default rates they are 400 and 500 whatever the response: an assumption, no finding. break_even_conversion is the conversion rate with a net_profit of 0, NULL if there is none from 0 to 1 or any would do.
With response_n or conversion_n, the numbers of customers that the rates were observed on, the campaign is run so many times: rates drawn from Beta(rate * n + 1/2, (1 - rate) * n + 1/2), a rate without n taken as certain, responders and buyers from binomials. net_profit_p05, p50 and p95 are percentiles (type 7) of the runs, probability_of_profit the share of runs with a net_profit above 0; NULL without either n. The same seed gives the same answer on every machine.
Rates are shares 0-1, margin_rate from -1 (sold below cost); money is in the currency of order_value, not negative; audience up to 2^53, runs 1 to 10000000, n at least 1. Anything else, and NaN, is an error. All NULL when an argument other than the two n is NULL. Example: SELECT * FROM rfm.roi_simulate(audience => 1000, response_rate => 0.1, conversion_rate => 0.3, order_value => 80);';

-- what to do for each segment

CREATE TYPE rfm.action_text AS (segment text, goal text, action text, timing text);
COMMENT ON TYPE rfm.action_text IS 'What to do for the customers of a segment; a row of the table action_texts of a model.';
COMMENT ON COLUMN rfm.action_text.segment IS 'Name of the segment.';
COMMENT ON COLUMN rfm.action_text.goal IS 'What the customers shall do.';
COMMENT ON COLUMN rfm.action_text.action IS 'What to do for it.';
COMMENT ON COLUMN rfm.action_text.timing IS 'When, after which trigger.';

CREATE FUNCTION rfm.default_action_texts() RETURNS SETOF rfm.action_text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
    ('VIP Champions', 'Keep them, and let them bring others', 'Early access, a personal contact, a reward for recommending; no discounts', 'Within 3 days of each order; a thank-you on every anniversary of the first order'),
    ('Loyal High Value', 'One order more within 90 days', 'Bundles and refills of what they buy; show what is missing to VIP', 'Day 14 and 45 after each order'),
    ('Loyal Low Value', 'A larger basket', 'Free shipping from a sum above their usual basket, sets instead of single pieces', 'At the next visit; day 21 after each order'),
    ('Promising High Value', 'The second order', 'Thank you, how-to-use, accessories for the first purchase, then an offer with an end date', 'Day 1, 3, 7, 14 and 30 after the first order'),
    ('Promising Low Value', 'The second order, at low cost', 'Automatic mail: best sellers of the first category, small voucher at the end', 'Day 3, 14 and 30 after the first order'),
    ('Need Attention', 'Win them back while they remember', 'A personal message naming what they bought, a strong offer for a short time', 'Now, then once more after 14 days; day 180 after the last order from now on'),
    ('At Risk', 'Any order before they are gone', 'Reminder with what is new since their order, one voucher', 'Day 180, 210 and 240 after the first order'),
    ('Hibernating', 'Find the few who still read', 'One cheap campaign a season; who does not open it leaves the list', 'Twice a year, before the season'),
    ('Champions', 'Keep them, and let them bring others', 'Early access, a personal contact, a reward for recommending; no discounts', 'Within 3 days of each order; a thank-you on every anniversary of the first order'),
    ('Potential Loyalist', 'A habit of ordering', 'Membership, bundles and refills of what they buy', 'Day 14 and 45 after each order'),
    ('Loyal Customers', 'A larger basket', 'Sets instead of single pieces, free shipping from a sum above their usual basket', 'Day 21 after each order'),
    ('Promising', 'The second order', 'Accessories for the first purchase, then an offer with an end date', 'Day 3, 7, 14 and 30 after the first order'),
    ('New Customers', 'A good start', 'Thank you, how-to-use, best sellers of the first category', 'Day 1, 3, 7, 14 and 30 after the first order'),
    ('Can''t Lose Them', 'Win them back at almost any price', 'A call or a letter, their former contact, a strong offer', 'Now, then once more after 14 days'),
    ('About To Sleep', 'Any order before they are gone', 'Reminder with what is new, one voucher', 'Now, then day 30'),
    ('Lost', 'Find the few who still read', 'One cheap campaign a season; who does not open it leaves the list', 'Twice a year, before the season'),
    ('Others', 'Know them', 'Nothing of their own; read their scores before you spend on them', 'At the next review of the rules'))
    AS t(segment, goal, action, timing);
END;
COMMENT ON FUNCTION rfm.default_action_texts() IS 'The texts that a new model starts with, for the segments of both sets of rules. Example: SELECT * FROM rfm.default_action_texts();';

-- campaigns

CREATE TYPE rfm.campaign AS (
    campaign_order  smallint,
    campaign        text,
    audience_of     text,
    segment         text,
    audience        bigint,
    order_value     numeric,
    response_rate   double precision,
    conversion_rate double precision,
    baseline_rate   double precision,
    incentive_rate  double precision,
    operating_rate  double precision,
    margin_rate     double precision,
    contact_cost    numeric,
    fixed_cost      numeric,
    response_n      bigint,
    conversion_n    bigint
);
COMMENT ON TYPE rfm.campaign IS 'A campaign and its parameters; a row of the table campaigns of a model.';
COMMENT ON COLUMN rfm.campaign.campaign_order IS 'Place of the campaign; in the total a customer counts for the first one that addresses him.';
COMMENT ON COLUMN rfm.campaign.campaign IS 'Its name.';
COMMENT ON COLUMN rfm.campaign.audience_of IS 'Whom it addresses: inactive promising high, inactive promising low (promising customers without return session), recent one-order (one order, younger than 90 days), segment (all of the column segment), or given (audience and order_value as given).';
COMMENT ON COLUMN rfm.campaign.segment IS 'Name of the segment, needed for audience_of segment.';
COMMENT ON COLUMN rfm.campaign.audience IS 'Customers addressed. NULL: counted in the model; needed for audience_of given.';
COMMENT ON COLUMN rfm.campaign.order_value IS 'What a buyer spends, money of the order lines. NULL: from the model, for inactive promising the average revenue of their peers with 2 or 3 return sessions, else the average order value of the audience.';
COMMENT ON COLUMN rfm.campaign.response_rate IS 'Share 0-1 of the audience that responds.';
COMMENT ON COLUMN rfm.campaign.conversion_rate IS 'Share 0-1 of those who respond that buys.';
COMMENT ON COLUMN rfm.campaign.baseline_rate IS 'Share 0-1 of those who respond that would have bought anyway. NULL: 0, for recent one-order the rate of second orders within 90 days.';
COMMENT ON COLUMN rfm.campaign.incentive_rate IS 'Discount as a share 0-1 of what every buyer spends. Default 0.15.';
COMMENT ON COLUMN rfm.campaign.operating_rate IS 'Operating cost as a share 0-1 of the added revenue. Default 0.05.';
COMMENT ON COLUMN rfm.campaign.margin_rate IS 'Margin as a share of revenue, -1 (sold below cost) to 1. NULL: that of the model, or 1 where product costs are not known.';
COMMENT ON COLUMN rfm.campaign.contact_cost IS 'Cost of addressing one customer, money of the order lines. Default 0.';
COMMENT ON COLUMN rfm.campaign.fixed_cost IS 'Cost of the campaign as such, money of the order lines. Default 0.';
COMMENT ON COLUMN rfm.campaign.response_n IS 'Number of customers response_rate was observed on. NULL: an assumption.';
COMMENT ON COLUMN rfm.campaign.conversion_n IS 'Number of customers conversion_rate was observed on. NULL: an assumption.';

CREATE FUNCTION rfm.default_campaigns() RETURNS SETOF rfm.campaign
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT o::smallint, c, a, s, NULL::bigint, NULL::numeric, r, v, NULL::float8, 0.15::float8, 0.05::float8, NULL::float8,
           0::numeric, 0::numeric, NULL::bigint, NULL::bigint
    FROM (VALUES
        (1, '1-A wake Promising High Value', 'inactive promising high', NULL, 0.30::float8, 0.50::float8),
        (2, '1-B wake Promising Low Value', 'inactive promising low', NULL, 0.20, 0.35),
        (3, '2 second order within 90 days', 'recent one-order', NULL, 1, 0.50),
        (4, '3 win back Need Attention', 'segment', 'Need Attention', 0.10, 1),
        (5, '3 win back At Risk', 'segment', 'At Risk', 0.05, 1),
        (6, '3 win back Hibernating', 'segment', 'Hibernating', 0.02, 1)) d(o, c, a, s, r, v);
END;
COMMENT ON FUNCTION rfm.default_campaigns() IS
    'The campaigns that a new model starts with: parameters only. Audiences, order values, baseline and margin are computed from the model. Example: SELECT * FROM rfm.default_campaigns();';

CREATE FUNCTION rfm.make_campaigns(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I.action_texts OF rfm.action_text (segment PRIMARY KEY)', model);
    EXECUTE format('INSERT INTO %I.action_texts SELECT * FROM rfm.default_action_texts()', model);
    EXECUTE format('CREATE TABLE %I.campaigns OF rfm.campaign (campaign_order PRIMARY KEY, campaign WITH OPTIONS NOT NULL UNIQUE,'
        ' audience_of WITH OPTIONS NOT NULL'
        ' CONSTRAINT "audience_of must be one of those in its comment" CHECK (audience_of IN (''inactive promising high'', ''inactive promising low'','
        ' ''recent one-order'', ''segment'', ''given'')),'
        ' response_rate WITH OPTIONS NOT NULL CONSTRAINT "response_rate must be a share from 0 to 1" CHECK (response_rate BETWEEN 0 AND 1),'
        ' conversion_rate WITH OPTIONS NOT NULL CONSTRAINT "conversion_rate must be a share from 0 to 1" CHECK (conversion_rate BETWEEN 0 AND 1),'
        ' baseline_rate WITH OPTIONS CONSTRAINT "baseline_rate must be a share from 0 to 1" CHECK (baseline_rate BETWEEN 0 AND 1),'
        ' incentive_rate WITH OPTIONS NOT NULL DEFAULT 0.15 CONSTRAINT "incentive_rate must be a share from 0 to 1" CHECK (incentive_rate BETWEEN 0 AND 1),'
        ' operating_rate WITH OPTIONS NOT NULL DEFAULT 0.05 CONSTRAINT "operating_rate must be a share from 0 to 1" CHECK (operating_rate BETWEEN 0 AND 1),'
        ' margin_rate WITH OPTIONS CONSTRAINT "margin_rate must be a share from -1 to 1" CHECK (margin_rate BETWEEN -1 AND 1),'
        ' contact_cost WITH OPTIONS NOT NULL DEFAULT 0 CONSTRAINT "contact_cost must not be negative" CHECK (contact_cost >= 0),'
        ' fixed_cost WITH OPTIONS NOT NULL DEFAULT 0 CONSTRAINT "fixed_cost must not be negative" CHECK (fixed_cost >= 0),'
        ' audience WITH OPTIONS CONSTRAINT "audience must not be negative" CHECK (audience >= 0),'
        ' order_value WITH OPTIONS CONSTRAINT "order_value must not be negative" CHECK (order_value >= 0),'
        ' response_n WITH OPTIONS CONSTRAINT "response_n must be positive" CHECK (response_n > 0),'
        ' conversion_n WITH OPTIONS CONSTRAINT "conversion_n must be positive" CHECK (conversion_n > 0),'
        ' CONSTRAINT "segment must be named for audience_of segment" CHECK (audience_of <> ''segment'' OR segment IS NOT NULL),'
        ' CONSTRAINT "audience and order_value are needed for audience_of given"'
        ' CHECK (audience_of <> ''given'' OR audience IS NOT NULL AND order_value IS NOT NULL))', model);
    EXECUTE format('INSERT INTO %I.campaigns SELECT * FROM rfm.default_campaigns()', model);
END $$;
COMMENT ON FUNCTION rfm.make_campaigns(text) IS 'Internal. Makes and fills the tables action_texts and campaigns of a model.';

CREATE FUNCTION rfm.campaign_queries(model text) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    name := 'action_plan';
    query := format($q$
        SELECT s.segment, s.segment_rank, s.stage, t.goal, t.action, t.timing, s.customers, s.revenue
        FROM %1$I.segments s LEFT JOIN %1$I.action_texts t USING (segment)
        ORDER BY s.segment_rank $q$, model);
    RETURN NEXT;

    name := 'roi';
    query := format($q$
        WITH model AS MATERIALIZED (SELECT margin_rate, survival, audiences FROM %1$I.summaries),
        -- whom a campaign addresses depends on no more than this of a customer
        cells AS (
            SELECT row_number() OVER () AS cell, a.customers, a.revenue, a.orders, a.value::int & 1 <> 0 AS is_idle,
                   a.value::int & 2 <> 0 AS is_back, a.value::int & 4 <> 0 AS is_recent, l.segment, l.stage, l.m_min > 1 AS is_high
            FROM model CROSS JOIN LATERAL unnest(audiences) a JOIN %1$I.segment_list l USING (segment_rank)),
        peers AS (
            SELECT is_high, greatest(0, sum(revenue) / sum(customers)) AS order_value FROM cells
            WHERE stage = 'promising' AND is_back GROUP BY is_high),
        members AS (
            SELECT p.campaign_order, c.customers, c.revenue, c.orders,
                   min(p.campaign_order) OVER (PARTITION BY c.cell) = p.campaign_order AS is_first
            FROM %1$I.campaigns p JOIN cells c ON CASE p.audience_of
                WHEN 'inactive promising high' THEN c.stage = 'promising' AND c.is_high AND c.is_idle
                WHEN 'inactive promising low' THEN c.stage = 'promising' AND NOT c.is_high AND c.is_idle
                WHEN 'recent one-order' THEN c.is_recent
                WHEN 'segment' THEN c.segment = p.segment ELSE false END),
        counted AS (
            SELECT campaign_order, sum(customers)::bigint AS audience, sum(customers) FILTER (WHERE is_first)::bigint AS first_audience,
                   greatest(0, sum(revenue) / sum(orders)) AS order_value
            FROM members GROUP BY campaign_order),
        parameters AS (
            SELECT p.campaign_order, p.campaign, CASE p.audience_of WHEN 'segment' THEN 'in the segment ' || p.segment ELSE p.audience_of END AS members,
                   coalesce(p.audience, c.audience, 0) AS audience,
                   coalesce(p.audience, c.first_audience, 0) AS first_audience,
                   p.response_rate, p.conversion_rate,
                   coalesce(p.baseline_rate, CASE WHEN p.audience_of = 'recent one-order' THEN k.rate END, 0) AS baseline_rate,
                   coalesce(p.order_value, CASE WHEN p.audience_of LIKE 'inactive promising %%' THEN v.order_value
                                                ELSE c.order_value END) AS order_value,
                   p.incentive_rate, p.operating_rate, coalesce(p.margin_rate, m.margin_rate, 1) AS margin_rate,
                   p.contact_cost, p.fixed_cost, p.response_n, p.conversion_n
            FROM %1$I.campaigns p
            CROSS JOIN model m
            LEFT JOIN LATERAL rfm.kaplan_meier_rate(m.survival, 90) k ON true
            LEFT JOIN counted c USING (campaign_order)
            LEFT JOIN peers v ON v.is_high = (p.audience_of = 'inactive promising high')),
        -- costs in another unit than the order lines give a margin that cannot be weighed
        weighed AS (
            SELECT p.*, p.margin_rate BETWEEN -1 AND 1 AS has_margin, bool_and(p.margin_rate BETWEEN -1 AND 1) OVER () AS all_have_margin
            FROM parameters p)
        SELECT p.campaign_order, p.campaign, p.audience, p.response_rate, p.conversion_rate, p.baseline_rate, p.order_value, p.margin_rate,
               r.responders, r.buyers, r.added_buyers, r.added_revenue, r.gross_profit, r.cost, r.net_profit, r.roi_percent, r.roas_percent,
               r.break_even_conversion, r.net_profit_p05, r.net_profit_p50, r.net_profit_p95, r.probability_of_profit,
               CASE WHEN NOT p.has_margin
                    THEN 'The margin of the model is not between -1 and 1: correct the costs of the products, or set margin_rate in campaigns'
                    WHEN p.baseline_rate = 0 AND p.contact_cost = 0 AND p.fixed_cost = 0 AND r.roi_percent IS NOT NULL
                    THEN 'ROI is ' || round(r.roi_percent::numeric) || ' %% by construction: margin, incentive and operating rate alone give it, whatever the response'
                    WHEN p.audience = 0 AND p.members <> 'given' THEN 'It addresses nobody: no customer is ' || p.members
                        || CASE WHEN p.members LIKE 'inactive %%' THEN ', or the model has no visits to tell' ELSE '' END
                    WHEN p.order_value IS NULL THEN 'Nobody to take an order value from: set order_value in campaigns' END AS note
        FROM weighed p
        CROSS JOIN LATERAL rfm.roi_simulate(p.audience, p.response_rate, p.conversion_rate, p.order_value, p.incentive_rate,
            p.operating_rate, CASE WHEN p.has_margin THEN p.margin_rate END, p.baseline_rate, p.contact_cost, p.fixed_cost, p.response_n, p.conversion_n) r
        UNION ALL
        SELECT NULL, 'Total', sum(p.first_audience)::bigint, NULL, NULL, NULL, NULL, NULL,
               sum(r.responders), sum(r.buyers), sum(r.added_buyers), sum(r.added_revenue), sum(r.gross_profit), sum(r.cost), sum(r.net_profit),
               (100 * sum(r.net_profit) / nullif(sum(r.cost), 0))::float8, (100 * sum(r.added_revenue) / nullif(sum(r.cost), 0))::float8,
               NULL, NULL, NULL, NULL, NULL, 'Each customer counts once, for the first campaign that addresses him'
        FROM weighed p
        CROSS JOIN LATERAL rfm.roi_simulate(p.first_audience, p.response_rate, p.conversion_rate, p.order_value, p.incentive_rate,
            p.operating_rate, CASE WHEN p.all_have_margin THEN p.margin_rate END, p.baseline_rate, p.contact_cost, p.fixed_cost) r
        ORDER BY 1 NULLS LAST $q$, model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.campaign_queries(text) IS 'Internal. The views action_plan and roi of a model, with their SQL.';

-- the functions of a model about them

CREATE FUNCTION rfm.campaign_functions(model text, settings rfm.settings)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settings.products IS NOT NULL THEN
        name := 'gateway_lift';
        types := 'text, text';
        arguments := 'category_a text, category_b text';
        result := 'TABLE (measure text, population text, customers_a bigint, customers_b bigint, average_a numeric, average_b numeric,'
            ' difference double precision, difference_low double precision, difference_high double precision)';
        body := format($b$
            DECLARE
                missing text := (SELECT c FROM unnest(ARRAY[category_a, category_b]) c
                                 WHERE NOT EXISTS (SELECT FROM %1$I.gateway_moments g WHERE g.category = c) LIMIT 1);
            BEGIN
                IF missing IS NOT NULL OR category_a IS NULL OR category_b IS NULL THEN
                    RAISE EXCEPTION 'no customer has a first order of category %%', coalesce(quote_literal(missing), 'NULL')
                        USING ERRCODE = 'no_data_found', HINT = format('SELECT name FROM %%I.gateway_products WHERE level = ''category'' lists them.', %1$L);
                END IF;
                RETURN QUERY
                SELECT v.measure, 'customers with a purchase in the window, by category of the first order', a.customers, b.customers,
                       v.average_a, v.average_b, w.difference, w.low, w.high
                FROM %1$I.gateway_moments a
                CROSS JOIN %1$I.gateway_moments b
                CROSS JOIN LATERAL (VALUES
                    ('average revenue', a.average_revenue, a.variance_revenue, b.average_revenue, b.variance_revenue),
                    ('revenue after the first order', a.revenue_after_first_order, a.variance_after_first_order,
                     b.revenue_after_first_order, b.variance_after_first_order)) v(measure, average_a, variance_a, average_b, variance_b)
                CROSS JOIN LATERAL rfm.welch_interval(a.customers, v.average_a::float8, v.variance_a::float8,
                                                      b.customers, v.average_b::float8, v.variance_b::float8) w
                WHERE a.category = category_a AND b.category = category_b;
            END $b$, model);
        comment := 'How much more the customers of one first category are worth than those of another: average revenue, and revenue after the first order, which an expensive first basket does not raise by itself; difference with its 95 percent interval (Welch; NULL where a category has a single customer). An unknown category is an error.'
            || format(' Example: SELECT * FROM %I.gateway_lift(''Jeans'', ''Socks'');', model);
        RETURN NEXT;
    END IF;

    name := 'roi_sensitivity';
    types := 'text';
    arguments := 'campaign text';
    result := 'TABLE (response_rate double precision, conversion_rate double precision, buyers numeric, net_profit numeric, roi_percent double precision)';
    body := format($b$
        DECLARE
            c record;
        BEGIN
            SELECT r.audience, r.order_value, r.baseline_rate, r.margin_rate, p.incentive_rate, p.operating_rate, p.contact_cost, p.fixed_cost
            INTO c
            FROM %1$I.roi r JOIN %1$I.campaigns p USING (campaign_order)
            WHERE p.campaign = roi_sensitivity.campaign;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'there is no campaign %%', coalesce(quote_literal(campaign), 'NULL')
                    USING ERRCODE = 'no_data_found', HINT = format('SELECT campaign FROM %%I.campaigns lists them.', %1$L);
            END IF;
            RETURN QUERY
            SELECT (x / 20.0)::float8, (y / 20.0)::float8, s.buyers, s.net_profit, s.roi_percent
            FROM generate_series(1, 20) x CROSS JOIN generate_series(1, 20) y
            CROSS JOIN LATERAL rfm.roi_simulate(c.audience, (x / 20.0)::float8, (y / 20.0)::float8, c.order_value, c.incentive_rate,
                c.operating_rate, CASE WHEN c.margin_rate BETWEEN -1 AND 1 THEN c.margin_rate END, c.baseline_rate, c.contact_cost, c.fixed_cost) s
            ORDER BY x, y;
        END $b$, model);
    comment := 'A campaign at other rates: what it brings for every response and conversion rate from 0.05 to 1 in steps of 0.05, all else as in roi; for a heat map. NULL where roi has no figures. An unknown campaign is an error.'
        || format(' Example: SELECT * FROM %I.roi_sensitivity(''2 second order within 90 days'');', model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.campaign_functions(text, rfm.settings) IS 'Internal. The functions gateway_lift and roi_sensitivity of a model.';
