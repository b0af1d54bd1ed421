-- 52_gateway: what became of the customers who came by a product, brand or category.

CREATE TYPE rfm.gateway_row AS (
    name                  text,
    customers             bigint,
    vip_customers         bigint,
    promising_customers   bigint,
    vip_revenue           numeric,
    revenue               numeric,
    revenue_squares       numeric,
    revenue_after         numeric,
    revenue_after_squares numeric,
    rate                  double precision,
    rate_low              double precision,
    rate_high             double precision
);
COMMENT ON TYPE rfm.gateway_row IS 'Internal. The customers of one name; what gateway returns.';
COMMENT ON COLUMN rfm.gateway_row.name IS 'The name.';
COMMENT ON COLUMN rfm.gateway_row.customers IS 'Number of customers.';
COMMENT ON COLUMN rfm.gateway_row.vip_customers IS 'Of them those of stage vip.';
COMMENT ON COLUMN rfm.gateway_row.promising_customers IS 'Of them those of stage promising.';
COMMENT ON COLUMN rfm.gateway_row.vip_revenue IS 'Sum of the revenue of those of stage vip, scale 4. NULL: there are none.';
COMMENT ON COLUMN rfm.gateway_row.revenue IS 'Sum of their revenue, scale 4.';
COMMENT ON COLUMN rfm.gateway_row.revenue_squares IS 'Sum of the squares of their revenue, scale 8.';
COMMENT ON COLUMN rfm.gateway_row.revenue_after IS 'Sum of their revenue_after, scale 4.';
COMMENT ON COLUMN rfm.gateway_row.revenue_after_squares IS 'Sum of the squares of their revenue_after, scale 8.';
COMMENT ON COLUMN rfm.gateway_row.rate IS 'Share 0-1 with the event within 365 days (Kaplan-Meier). NULL: nobody was watched that long.';
COMMENT ON COLUMN rfm.gateway_row.rate_low IS 'Lower 95 percent bound (log-log). NULL: undefined.';
COMMENT ON COLUMN rfm.gateway_row.rate_high IS 'Upper 95 percent bound (log-log). NULL: undefined.';

CREATE FUNCTION rfm.gateway_accum(state rfm.aggregate_state, name text, stage text, revenue numeric, revenue_after numeric, days integer, event boolean, minimum bigint) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_state_accum';
CREATE FUNCTION rfm.gateway_final(state rfm.aggregate_state) RETURNS rfm.gateway_row[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_state_final';
COMMENT ON FUNCTION rfm.gateway_accum(rfm.aggregate_state, text, text, numeric, numeric, integer, boolean, bigint) IS 'Internal. Transition function of gateway.';
COMMENT ON FUNCTION rfm.gateway_final(rfm.aggregate_state) IS 'Internal. Final function of gateway.';

CREATE AGGREGATE rfm.gateway(name text, stage text, revenue numeric, revenue_after numeric, days integer, event boolean, minimum bigint) (
    SFUNC = rfm.gateway_accum, STYPE = rfm.aggregate_state, SSPACE = 65536,
    FINALFUNC = rfm.gateway_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rfm.gateway(text, text, numeric, numeric, integer, boolean, bigint) IS
'Internal. The customers, one row each, by name: their number, those of stage vip and promising, exact sums of money and of its squares, and the share of them with the event within 365 days. A row for every name with at least minimum customers (NULL: 1; the same in all rows), ordered by the bytes of the name. Customers with a NULL name are left out, those with NULL days or event are not in that share, NULL money counts as 0; without such names the result is NULL. Money is rounded to 4 decimals; NaN, infinity, negative days and sums that do not fit are errors.';
