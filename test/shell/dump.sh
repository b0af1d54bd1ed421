#!/usr/bin/env bash
# pg_dump, restore, same answers: models of every storage, mixed-case names, an owner without superuser
# rights; in every format of pg_dump; and what was restored can be refreshed. Tracked changes stay tracked. Schema and data can
# be dumped apart, and restored for another owner.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

tests=0
# Prints a TAP line: DESCRIPTION COMMAND ...; what the command says becomes comments when it fails.
check() {
	local description=$1 output
	shift
	tests=$((tests + 1))
	if output=$("$@" 2>&1); then
		echo "ok $tests - $description"
	else
		echo "not ok $tests - $description"
		[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/# /'
	fi
}

sql() {
	psql -XqAt -v ON_ERROR_STOP=1 "$@"
}

# Prints every view of every model of a database.
answers() {
	sql -d "$1" -f "$RFM_SOURCE_DIR/test/shell/include/answers.sql"
}

# Prints settings, rules, owners, grants and comments.
setup() {
	sql -d "$1" <<-'SQL'
		TABLE rfm.models ORDER BY 1;
		SELECT format('SELECT to_jsonb(s) FROM %I.settings s', model) FROM rfm.models ORDER BY 1 \gexec
		SELECT format('SELECT * FROM %I.segment_rules ORDER BY 1', model) FROM rfm.models ORDER BY 1 \gexec
		SELECT n.nspname, c.relname, c.relkind, c.relowner::regrole, c.relacl, obj_description(c.oid, 'pg_class'),
			(SELECT string_agg(concat(attname, format_type(atttypid, atttypmod), attacl, col_description(c.oid, attnum)), ',' ORDER BY attname)
			 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN rfm.models m ON m.model = n.nspname
		ORDER BY n.nspname, c.relname;
		SELECT nspname, nspowner::regrole, nspacl, obj_description(n.oid, 'pg_namespace')
		FROM pg_namespace n WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1;
	SQL
}

# Restores a dump into a new database: FORMAT DATABASE.
restore() {
	createdb -T template0 "$2"
	case $1 in
		plain) sql -d "$2" -f "$directory/plain" ;;
		directory) pg_restore --exit-on-error --jobs 2 -d "$2" "$directory/directory" ;;
		*) pg_restore --exit-on-error -d "$2" "$directory/$1" ;;
	esac
}

same() {
	diff "$directory/$1" "$directory/$2"
}

refreshed() {
	sql -d "$1" <<-'SQL'
		CALL rfm.refresh('in table');
		CALL rfm.refresh('Materialized');
		CALL rfm.refresh('live');
		CALL rfm.refresh('shop');
	SQL
}

# The owner's rights are enough for it, and changed lines arrive.
changed() {
	sql -d "$1" <<-'SQL' >"$directory/changed"
		SET client_min_messages = error;
		DELETE FROM base.lines WHERE customer_id = 'c1';
		SET ROLE dump_owner;
		CALL rfm.refresh('in table');
		CALL rfm.refresh('Materialized');
		SELECT count(*) FROM "in table".customers WHERE customer_id = 'c1';
		SELECT count(*) FROM "Materialized".customers WHERE customer_id = 'c1';
		SELECT count(*) FROM live.customers WHERE customer_id = 'c1';
		SELECT error IS NULL FROM "in table".refresh_log ORDER BY refresh_id DESC LIMIT 1;
		SELECT rfm.configure_model('in table', storage => 'view');
		CALL rfm.refresh('in table');
		SELECT rfm.drop_model('live');
		SELECT storage FROM rfm.models WHERE model = 'in table';
	SQL
	diff "$directory/changed" - <<-'EXPECTED'
		0
		0
		0
		t

		
		view
	EXPECTED
}

# A change after the restore costs the customer who changed.
tracked() {
	sql -d "$1" -v owner="$2" <<-'SQL' >"$directory/tracked"
		SET client_min_messages = error;
		SET ROLE :owner;
		CALL rfm.refresh('in table');
		UPDATE base.lines SET amount = amount + 1 WHERE customer_id = 'c4';
		CALL rfm.refresh('in table');
		SELECT mode, reason, changed, error FROM "in table".refresh_log ORDER BY refresh_id DESC LIMIT 1;
	SQL
	diff "$directory/tracked" - <<<'incremental|customers that changed or came due: 1|1|'
}

createdb -T template0 dump_source
sql -d dump_source <<'SQL'
SET client_min_messages = error;
CREATE EXTENSION rfm_segments;
CREATE ROLE dump_owner;
CREATE ROLE dump_reader;
GRANT CREATE ON DATABASE dump_source TO dump_owner;
CREATE SCHEMA base AUTHORIZATION dump_owner;
SET ROLE dump_owner;
CREATE TABLE base.lines (customer_id text, order_id int, ordered_at timestamp, amount float8, status text, product_id int);
CREATE TABLE base.accounts (customer_id varchar, channel text, signed_up_at date, "Pays" text);
CREATE TABLE base.products (product_id int, category text);
CREATE TABLE base.visits (customer_id text, session_id int, visited_at timestamptz);
INSERT INTO base.lines
	SELECT 'c' || i * i % 83, i / 2, '2024-01-01'::timestamp - i * interval '9 hours', i * 1.07, CASE WHEN i % 9 = 0 THEN 'Returned' END, i % 7
	FROM generate_series(1, 2000) i;
INSERT INTO base.lines SELECT NULL, -i, '2023-12-01', 10, NULL, NULL FROM generate_series(1, 10) i;
INSERT INTO base.accounts SELECT 'c' || i, CASE WHEN i % 3 > 0 THEN 'ch' || i % 3 END, '2020-01-01'::date + i, 'Ö' || i % 4 FROM generate_series(1, 90) i;
INSERT INTO base.products SELECT i, 'cat ' || i FROM generate_series(0, 6) i;
SELECT rfm.create_model('in table', 'base.lines', 'base.accounts', 'base.products', 'base.visits', as_of => '2024-01-15',
	time_zone => 'Europe/Berlin', dimensions => '{Pays}');
SELECT rfm.create_model('Materialized', 'base.lines', 'base.accounts', 'base.products', 'base.visits', as_of => '2024-01-15',
	time_zone => 'Europe/Berlin', dimensions => '{Pays}', storage => 'materialized', recency_fractions => '{0.3,0.6}');
SELECT rfm.create_model('live', 'base.lines', 'base.accounts', as_of => '2024-01-15', storage => 'view', lookback => '1 year', rules => 'classic');
UPDATE "in table".segment_rules SET segment = 'Ä "x" \ ''' WHERE rule_order = 1;
SELECT rfm.track_changes('in table', 'base.lines', 'customer_id');
SELECT rfm.track_changes('in table', 'base.accounts', 'customer_id');
SELECT rfm.track_changes('in table', 'base.products', NULL);
SELECT rfm.track_changes('in table', 'base.visits', 'customer_id');
CALL rfm.refresh('in table');
GRANT USAGE ON SCHEMA "in table" TO dump_reader;
GRANT SELECT ON "in table".customers TO dump_reader;
RESET ROLE;
CREATE TABLE order_items (id int, order_id int, user_id int, product_id int, status text, created_at timestamptz, sale_price float8);
CREATE TABLE users (id int, traffic_source text, created_at timestamptz, age int, gender text, country text, state text, city text);
CREATE TABLE products (id int, category text, brand text, name text, cost float8);
CREATE TABLE events (id int, user_id int, session_id text, created_at timestamptz);
INSERT INTO order_items SELECT i, i / 2, i % 40, i % 5, 'Complete', '2024-01-01Z'::timestamptz - i * interval '1 day', i FROM generate_series(1, 300) i;
INSERT INTO users SELECT i, 'Search', '2020-01-01Z', 30, 'F', 'France', 'x', 'Paris' FROM generate_series(1, 50) i;
INSERT INTO products SELECT i, 'Jeans', 'b', 'n', 5 FROM generate_series(0, 4) i;
SELECT rfm.create_thelook_model('shop', as_of => '2024-01-15');
SQL
answers dump_source >"$directory/answers"
setup dump_source >"$directory/setup"
check 'the models have answers' test "$(wc -l <"$directory/answers")" -gt 500

for format in plain custom directory; do
	check "pg_dump, $format" pg_dump --format "$format" --jobs "$([ $format = directory ] && echo 2 || echo 1)" --file "$directory/$format" dump_source
	check "restore, $format" restore "$format" "dump_$format"
	answers "dump_$format" >"$directory/answers.$format" 2>&1 || :
	setup "dump_$format" >"$directory/setup.$format" 2>&1 || :
	check "same answers, $format" same answers "answers.$format"
	check "same settings, rules, owners, grants and comments, $format" same setup "setup.$format"
	check "refresh, $format" refreshed "dump_$format"
	answers "dump_$format" >"$directory/answers.$format" 2>&1 || :
	check "same answers after it, $format" same answers "answers.$format"
	check "changes are still tracked, $format" tracked "dump_$format" dump_owner
	check "changed lines, settings and drop by the owner, $format" changed "dump_$format"
	dropdb --if-exists --force "dump_$format"
done

# Restores the schema, then the data, into a database of another owner, as that owner, who has no superuser rights. Neither
# dump fills materialized views: a refresh does.
restore_apart() {
	createdb -T template0 -O dump_other "$1"
	sql -d "$1" -c 'GRANT CREATE ON SCHEMA public TO dump_other'
	pg_restore --exit-on-error --no-owner --no-acl -U dump_other -d "$1" "$directory/schema" &&
		pg_restore --exit-on-error --no-owner --no-acl -U dump_other -d "$1" "$directory/data" &&
		sql -U dump_other -d "$1" -c 'SET client_min_messages = error' -c "CALL rfm.refresh('Materialized')"
}

owned() {
	[ "$(sql -d "$1" -c 'SELECT DISTINCT owner FROM rfm.models')" = dump_other ]
}

sql -d postgres -c 'CREATE ROLE dump_other LOGIN'
check 'pg_dump, schema' pg_dump --format custom --schema-only --file "$directory/schema" dump_source
check 'pg_dump, data' pg_dump --format custom --data-only --file "$directory/data" dump_source
check 'restore, schema and data apart' restore_apart dump_apart
answers dump_apart >"$directory/answers.apart" 2>&1 || :
check 'same answers, schema and data apart' same answers answers.apart
check 'of another owner' owned dump_apart
check 'refresh, schema and data apart' refreshed dump_apart
answers dump_apart >"$directory/answers.apart" 2>&1 || :
check 'same answers after it, schema and data apart' same answers answers.apart
check 'changes are still tracked, schema and data apart' tracked dump_apart dump_other
dropdb --if-exists --force dump_apart

dropdb --force dump_source
sql -d postgres -c 'DROP ROLE dump_owner, dump_reader, dump_other'
echo "1..$tests"
