#!/usr/bin/env bash
# What a BI tool finds: a role that rfm.grant_read made a reader, under a statement_timeout, sees all that is public and
# nothing else, every relation and column commented, under names and in types and values that the tool understands, and
# reads everything as the tool's sync does. Through psql, and through the JDBC driver, which Metabase uses. The driver
# speaks TCP only: the test has a server of its own, on the loopback, where only this role may come in, with a password.
#
# shellcheck disable=SC2016,SC2154
set -euo pipefail

source=$RFM_SOURCE_DIR
include=$source/test/shell/include
tests_server=$PGHOST
. "$source/test/private_server.sh"
. "$include/tap.sh"

trap remove_private_directory EXIT
create_private_directory bi
ln -s "$tests_server/build" "$tests_server/installed" "$directory"
printf '%s\n' 'local all all trust' 'host bi_test dashboards 127.0.0.1/32 scram-sha-256' >"$directory/hba.conf"
start_server "hba_file = '$directory/hba.conf'"
as_server pg_ctl -D "$directory/data" -m fast -w stop >/dev/null
for ((try = 1; try <= 20; try++)); do
	export PGPORT=$((20000 + RANDOM % 12000))
	! as_server pg_ctl -D "$directory/data" -l "$directory/data/log" -w start -o "-p $PGPORT -c listen_addresses=127.0.0.1" >/dev/null 2>&1 || break
done

# ---------- the models and their reader ----------

export PGDATABASE=bi_test PGPASSWORD=secret
createdb bi_test
sql -v scale=0.02 -v as_of=2024-01-21 -f "$source/demo/thelook.sql"
sql <<'SQL'
SET client_min_messages = error;
CREATE EXTENSION rfm_segments;
CREATE ROLE shop_owner;
GRANT CREATE ON DATABASE bi_test TO shop_owner;
CREATE SCHEMA nothing;
CREATE TABLE nothing.order_lines (customer_id uuid, order_id uuid, ordered_at date, amount numeric, product_id uuid);
CREATE TABLE nothing.accounts (customer_id uuid, channel text, signed_up_at date, country text);
CREATE TABLE nothing.products (product_id uuid, category text, brand text, name text, cost numeric);
CREATE TABLE nothing.visits (customer_id uuid, session_id uuid, visited_at date);
-- orders of nothing, refunds of more than was paid, products that cost more than they bring, values of every kind
CREATE SCHEMA losses;
CREATE DOMAIN losses.customer AS varchar(40);
CREATE TYPE losses.mood AS ENUM ('good', 'bad');
CREATE TABLE losses.order_lines AS
	SELECT ('c' || i / 3)::losses.customer AS customer_id, i AS order_id, date '2024-01-20' - i AS ordered_at,
		CASE i % 3 WHEN 0 THEN 0 WHEN 1 THEN i / 3 % 3 * 5 ELSE -i END AS amount, md5((i % 4)::text)::uuid AS product_id
	FROM generate_series(0, 400) i;
CREATE TABLE losses.accounts AS
	SELECT 'c' || i AS customer_id, NULL AS channel, (ARRAY['2024-06-01', 'infinity', '-infinity', NULL])[i % 4 + 1]::timestamp AS signed_up_at,
		(ARRAY[-0.5, 'NaN', 'Infinity', '-Infinity'])[i % 4 + 1]::float8 AS weight, (ARRAY[1e30, 'NaN', 'Infinity', '-Infinity'])[i % 4 + 1]::numeric AS size,
		(ARRAY['1899-12-31', 'infinity', '-infinity', '2024-02-29'])[i % 4 + 1]::date AS born,
		(ARRAY['2024-03-31 02:30', 'infinity', '-infinity', NULL])[i % 4 + 1]::timestamp AS seen, (ARRAY['good', 'bad'])[i % 2 + 1]::losses.mood AS mood,
		ARRAY[i] AS numbers, interval '1 day' AS stay, '{}'::jsonb AS tags, int4range(1, i + 2) AS ages, i % 2 = 0 AS is_member,
		(ARRAY['2024-03-31 01:30Z', 'infinity', '-infinity', NULL])[i % 4 + 1]::timestamptz AS written, 'x'::char(3) AS letter
	FROM generate_series(0, 140) i;
CREATE TABLE losses.products AS SELECT md5(i::text)::uuid AS product_id, NULLIF('category ' || i, 'category 3') AS category, 1000 AS cost FROM generate_series(0, 3) i;
CREATE TABLE losses.visits (customer_id text, session_id int, visited_at timestamp);
GRANT USAGE ON SCHEMA nothing, losses TO shop_owner;
GRANT SELECT ON ALL TABLES IN SCHEMA public, nothing, losses TO shop_owner;

SET ROLE shop_owner;
SELECT rfm.create_thelook_model('in_' || storage, storage => storage, as_of => '2024-01-21') FROM unnest('{table,materialized,view}'::text[]) storage;
SELECT rfm.create_model('fewest', 'in_table.order_lines', storage => 'materialized', as_of => '2024-01-21');
SELECT rfm.create_model('empty_' || storage, 'nothing.order_lines', 'nothing.accounts', 'nothing.products', 'nothing.visits', storage => storage,
	dimensions => '{country}') FROM unnest('{table,view}'::text[]) storage;
SELECT rfm.create_model('losses_model', 'losses.order_lines', 'losses.accounts', 'losses.products', 'losses.visits', as_of => '2024-01-21',
	dimensions => '{weight,size,born,seen,mood,numbers,stay,tags,ages,is_member,written,letter}');
SELECT rfm.create_model('secret', 'in_table.order_lines', as_of => '2024-01-21');
CALL rfm.refresh('in_table');
-- a campaign with an interval, and one of which the model knows nothing
UPDATE in_table.campaigns SET response_n = 100, conversion_n = 20 WHERE campaign_order = 1;
INSERT INTO fewest.campaigns (campaign_order, campaign, audience_of, segment, response_rate, conversion_rate)
	VALUES (0, 'none', 'segment', 'of no rule', 0, 0);
RESET ROLE;

CREATE ROLE dashboards LOGIN PASSWORD 'secret';
ALTER ROLE dashboards SET statement_timeout = '10s';
SET ROLE shop_owner;
SELECT rfm.grant_read(model, 'dashboards') FROM rfm.models WHERE model <> 'secret';
SQL

as_reader() {
	sql -U dashboards "$@"
}

# The public relations of a model, as README.md has them: MODEL STORAGE [RELATION ...], the relations that it reads
# beside the order lines.
public_relations() {
	local model=$1 storage=$2
	shift 2
	awk -F ' *[|] *' -v model="$model" -v relations=" $* " '
		/^## / { here = /Reading the results/ }
		here && $2 ~ /^`/ && (NF < 6 || $5 == "" || index(relations, " " $5 " ")) { gsub("`", "", $2); print model "." $2 }' "$source/README.md"
	printf "$model.%s\n" settings segment_rules action_texts campaigns refresh_log
	[ "$storage" != table ] || echo "$model.segment_history"
}

{
	echo rfm.models
	for storage in table materialized view; do
		public_relations in_$storage $storage accounts products visits
	done
	public_relations fewest materialized
	public_relations empty_table table accounts products visits
	public_relations empty_view view accounts products visits
	public_relations losses_model table accounts products visits
} | LC_ALL=C sort >"$directory/public"

# ---------- psql ----------

is 'the reader has a statement_timeout' "$(as_reader -c 'SHOW statement_timeout')" 10s
as_reader -c "SELECT table_schema || '.' || table_name FROM information_schema.tables
	WHERE table_schema NOT IN ('pg_catalog', 'information_schema')" | LC_ALL=C sort >"$directory/seen"
is 'the reader sees what README.md calls public, and nothing else' "$(diff "$directory/public" "$directory/seen")" ''

# What a tool would do with every column: SQL with %1$s for the relation and %2$I for the column, and which columns.
each_column() {
	as_reader -v ON_ERROR_STOP=0 2>&1 <<-SQL
		SELECT format(\$\$$1\$\$, format('%I.%I', table_schema, table_name), column_name)
		FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND ($2)
		ORDER BY table_schema, table_name, ordinal_position \gexec
	SQL
}

is 'every relation is read' "$(each_column 'SELECT * FROM %1$s LIMIT 10000' 'ordinal_position = 1' | grep -A 3 ERROR)" ''
is 'every column gives its list of values' \
	"$(each_column 'SELECT %2$I FROM %1$s GROUP BY %2$I ORDER BY %2$I LIMIT 1000' true | grep -A 3 ERROR)" ''
is 'no number is NaN or infinite' "$(each_column "SELECT DISTINCT '%1\$s.%2\$I ' || %2\$I FROM %1\$s WHERE %2\$I IN ('NaN', 'Infinity', '-Infinity')" \
	"data_type IN ('numeric', 'double precision')")" ''
is 'nor is a time' "$(each_column "SELECT DISTINCT '%1\$s.%2\$I ' || %2\$I FROM %1\$s WHERE NOT isfinite(%2\$I)" \
	"data_type = 'date' OR data_type LIKE 'timestamp%'")" ''
# refunds may exceed what was paid, costs the price
is 'shares and rates lie between 0 and 1' "$(each_column "SELECT DISTINCT '%1\$s.%2\$I ' || %2\$I FROM %1\$s WHERE %2\$I NOT BETWEEN 0 AND 1" \
	"column_name ~ '_(share|rate)(_low|_high)?\$' AND NOT (table_schema = 'losses_model' AND column_name ~ 'revenue_share\$|^margin_rate\$')")" ''
is 'every model says when it was computed' "$(each_column "SELECT '%1\$s' FROM %1\$s WHERE %2\$I IS NULL" "column_name = 'refreshed_at'"
	as_reader -c "SELECT model FROM rfm.models m WHERE model <> 'secret' AND NOT EXISTS (SELECT FROM information_schema.columns c
		WHERE c.table_schema = m.model AND c.column_name = 'refreshed_at')")" ''

# ---------- JDBC ----------

read=everything
PGUSER=dashboards java -Duser.timezone=Asia/Kathmandu -cp /usr/share/java/postgresql.jar "$include/Metadata.java" \
	"jdbc:postgresql://127.0.0.1:$PGPORT/bi_test" >"$directory/jdbc" 2>"$directory/said" || read=$(cat "$directory/said")
is 'the JDBC driver reads everything' "$read" everything

# The lines of a kind that the driver gave.
jdbc() {
	grep "^$1"$'\t' "$directory/jdbc" | LC_ALL=C sort
}

# Compares them with SQL about c, a public relation, and n, its schema: KIND COLUMNS [JOIN].
differing() {
	sql -F $'\t' -c "SELECT '$1', n.nspname, c.relname, $2 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace ${3:-}
		WHERE n.nspname || '.' || c.relname IN ($(sed "s/.*/'&'/" "$directory/public" | paste -sd ,))" | LC_ALL=C sort |
		diff - <(jdbc "$1") || :
}

is 'it shows what is public, with its comments' "$(differing relation "obj_description(c.oid, 'pg_class')")" ''
is 'and all columns, with theirs' "$(differing column 'a.attname, t.typname, col_description(c.oid, a.attnum)' \
	'JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid')" ''
is 'nothing is without a comment' "$(awk -F '\t' '/^(relation|column)/ && ($NF == "" || $NF == "null" || $NF ~ /^Internal/)' "$directory/jdbc")" ''
is 'it read all rows' "$(each_column "SELECT '%1\$s', least(count(*), 10000) FROM %1\$s" 'ordinal_position = 1' | LC_ALL=C sort |
	diff - <(jdbc read | cut -f 2- | tr '\t' '|'))" ''
# a model's settings have the types of the arguments of rfm.create_model
is 'types and values are plain, but the types of some settings' "$(jdbc problem | grep -v $'\\.settings\\.[a-z_]*\thas type [a-z_]*, [A-Z]*$')" ''

# ---------- names ----------

# What is wrong with a name, by what tools take it for: CONDITION on information_schema.columns.
misnamed() {
	as_reader -c "SELECT concat_ws('.', table_schema, table_name, column_name, data_type) FROM information_schema.columns
		WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND ($1)"
}

is 'no relation is hidden by its name' "$(misnamed "table_schema ~ 'pg_' OR table_name ~ '(pg_|^config|^cache|^queue)'")" ''
is 'nothing is taken for a key' "$(misnamed "column_name = 'id'")" ''
is 'what is named like money is no ratio, but margin_rate' \
	"$(misnamed "column_name ~ '(cost|margin|income|discount)' AND data_type = 'double precision' AND column_name <> 'margin_rate'")" ''
is 'what is named like a share or rate is one, or its bounds' "$(misnamed "column_name ~ '_(share|rate)\$' AND data_type <> 'double precision'")" ''
is 'what is named like a score, count or source is one' "$(misnamed "column_name ~ 'score' AND data_type <> 'smallint'
	OR column_name ~ 'count\$' AND data_type NOT IN ('smallint', 'integer', 'bigint') OR column_name ~ '(channel|source)' AND data_type <> 'text'")" ''

done_testing
