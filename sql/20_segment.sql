-- 20_segment: segment rules, and the segment a customer falls into
--
-- Rules are rows (rfm.segment_rule), tried in the order of rule_order; the first that holds all three
-- scores wins. Compiled (rfm.rules) they are one small value with the segment of every cell.

CREATE TYPE rfm.segment_rule AS (
    rule_order smallint,
    segment    text,
    stage      text,
    r_min      smallint,
    r_max      smallint,
    f_min      smallint,
    f_max      smallint,
    m_min      smallint,
    m_max      smallint
);

COMMENT ON TYPE rfm.segment_rule IS
'One segment rule: a box in the cube of scores. The first rule, by rule_order, that holds a customer''s scores names his segment; without one he is in ''Others''.';
COMMENT ON COLUMN rfm.segment_rule.rule_order IS 'Place in the order in which the rules are tried; unique.';
COMMENT ON COLUMN rfm.segment_rule.segment IS 'Name of the segment, 1 to 63 bytes. Several rules may share it.';
COMMENT ON COLUMN rfm.segment_rule.stage IS 'What the segment is to the analyses: vip, loyal, promising, attention, risk or other. One per segment.';
COMMENT ON COLUMN rfm.segment_rule.r_min IS 'Smallest recency score, 1 to 9.';
COMMENT ON COLUMN rfm.segment_rule.r_max IS 'Greatest recency score, 1 to 9; beyond the levels of the axis it means the highest.';
COMMENT ON COLUMN rfm.segment_rule.f_min IS 'Smallest frequency score, 1 to 9.';
COMMENT ON COLUMN rfm.segment_rule.f_max IS 'Greatest frequency score, 1 to 9; beyond the levels of the axis it means the highest.';
COMMENT ON COLUMN rfm.segment_rule.m_min IS 'Smallest monetary score, 1 to 9.';
COMMENT ON COLUMN rfm.segment_rule.m_max IS 'Greatest monetary score, 1 to 9; beyond the levels of the axis it means the highest.';

CREATE TYPE rfm.rules;

CREATE FUNCTION rfm.rules_in(cstring) RETURNS rfm.rules
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_in';
CREATE FUNCTION rfm.rules_out(rfm.rules) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_out';
CREATE FUNCTION rfm.rules_recv(internal) RETURNS rfm.rules
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_recv';
CREATE FUNCTION rfm.rules_send(rfm.rules) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_send';

COMMENT ON FUNCTION rfm.rules_in(cstring) IS 'Text input of type rfm.rules.';
COMMENT ON FUNCTION rfm.rules_out(rfm.rules) IS 'Text output of type rfm.rules.';
COMMENT ON FUNCTION rfm.rules_recv(internal) IS 'Binary input of type rfm.rules.';
COMMENT ON FUNCTION rfm.rules_send(rfm.rules) IS 'Binary output of type rfm.rules.';

CREATE TYPE rfm.rules (
    INPUT = rfm.rules_in,
    OUTPUT = rfm.rules_out,
    RECEIVE = rfm.rules_recv,
    SEND = rfm.rules_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = plain
);

COMMENT ON TYPE rfm.rules IS
'Compiled segment rules: the levels of the three axes, the segments by rank, and the segment of every cell. Made by rfm.compile_rules.';

CREATE FUNCTION rfm.default_rules(name text) RETURNS SETOF rfm.segment_rule
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'rfm_default_rules';

COMMENT ON FUNCTION rfm.default_rules(text) IS
'The segment rules that come with the extension, for five levels: ''lifecycle'' (nine segments with Others; f = 3 is one order) or ''classic'' (the ten of RFM literature, and Others). Stages of classic: Champions vip; Potential Loyalist and Loyal Customers loyal; Promising and New Customers promising; Can''t Lose Them and Need Attention attention; At Risk, About To Sleep and Lost risk. Another name is an error. Example: SELECT * FROM rfm.default_rules(''classic'');';

CREATE FUNCTION rfm.compile_rules(rules rfm.segment_rule[], r_levels integer DEFAULT 5, f_levels integer DEFAULT 5, m_levels integer DEFAULT 5)
    RETURNS rfm.rules
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_compile_rules';

COMMENT ON FUNCTION rfm.compile_rules(rfm.segment_rule[], integer, integer, integer) IS
'Compiles segment rules, given in any order, for axes of 2 to 9 levels. NULL or an empty array means no rules: everyone is in Others. An unknown stage, a range outside 1 to 9, a rule_order that occurs twice, two stages of one segment, a NULL or more than 99 segments are errors. Example: SELECT rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d));';

CREATE FUNCTION rfm.segment_of(rfm_score integer) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of';
CREATE FUNCTION rfm.segment_of(r integer, f integer, m integer) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of_scores';
CREATE FUNCTION rfm.segment_of(rfm_score integer, rules rfm.rules) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of_rules';
CREATE FUNCTION rfm.segment_of(r integer, f integer, m integer, rules rfm.rules) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of_scores_rules';

COMMENT ON FUNCTION rfm.segment_of(integer) IS
'The segment of a three-digit score such as 543, by the nine default segments (rules ''lifecycle''). NULL in, NULL out; a score outside 1 to 5 is an error. Example: SELECT rfm.segment_of(543);';
COMMENT ON FUNCTION rfm.segment_of(integer, integer, integer) IS
'The segment of a recency, frequency and monetary score, by the nine default segments (rules ''lifecycle''). NULL in, NULL out; a score outside 1 to 5 is an error. Example: SELECT rfm.segment_of(5, 4, 3);';
COMMENT ON FUNCTION rfm.segment_of(integer, rfm.rules) IS
'The segment of a three-digit score such as 543, by the rules given. NULL in, NULL out; a score outside the levels of the rules is an error. Example: SELECT rfm.segment_of(543, rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';
COMMENT ON FUNCTION rfm.segment_of(integer, integer, integer, rfm.rules) IS
'The segment of a recency, frequency and monetary score, by the rules given. NULL in, NULL out; a score outside the levels of the rules is an error.';

CREATE FUNCTION rfm.segment_rank(rfm_score integer, rules rfm.rules) RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_rank';
CREATE FUNCTION rfm.segment_stage(rfm_score integer, rules rfm.rules) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_stage';

COMMENT ON FUNCTION rfm.segment_rank(integer, rfm.rules) IS
'The rank of a three-digit score''s segment: 1 for the segment of the first rule, and so on. NULL in, NULL out; a score outside the levels of the rules is an error. Example: SELECT rfm.segment_rank(543, rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';
COMMENT ON FUNCTION rfm.segment_stage(integer, rfm.rules) IS
'The stage of a three-digit score''s segment: vip, loyal, promising, attention, risk or other. NULL in, NULL out; a score outside the levels of the rules is an error. Example: SELECT rfm.segment_stage(543, rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';

CREATE FUNCTION rfm.rule_segments(rules rfm.rules, OUT segment text, OUT segment_rank smallint, OUT stage text, OUT m_min smallint, OUT m_max smallint)
    RETURNS SETOF record
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'rfm_rule_segments';

COMMENT ON FUNCTION rfm.rule_segments(rfm.rules) IS
'The segments of compiled rules, one row each, best first; m_min and m_max are the smallest and greatest monetary score in the segment''s rules, NULL for an Others that has no rule. Example: SELECT * FROM rfm.rule_segments(rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';
