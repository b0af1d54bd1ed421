-- 90_grants: who may call what. Functions run with the rights of their caller, so that everyone may call them.

CREATE FUNCTION rfm.version() RETURNS text
    AS 'MODULE_PATHNAME', 'rfm_version' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.version() IS 'The version of the loaded library, for example 1.0.0.';

COMMENT ON SCHEMA rfm IS 'The extension rfm_segments: customer segments from order lines. rfm.create_model makes a model, rfm.models lists them.';

GRANT USAGE ON SCHEMA rfm TO PUBLIC;
GRANT SELECT ON rfm.models TO PUBLIC;
