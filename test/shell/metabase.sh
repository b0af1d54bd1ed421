#!/usr/bin/env bash
# The starter questions for Metabase: each runs for a reader of the model and returns the columns that
# its chart names; and publish.mjs, against a stand-in for Metabase (include/metabase_server.mjs).
set -euo pipefail

export PGDATABASE=metabase_test PGOPTIONS='-c client_min_messages=error'
here=$RFM_SOURCE_DIR/test/shell metabase=$RFM_SOURCE_DIR/dashboard/metabase
# shellcheck source=test/shell/include/tap.sh
. "$here/include/tap.sh"
directory=$(mktemp -d)
trap 'end_jobs; rm -r "$directory"' EXIT

hostile="It's \"Mine\" \$& 100%"
createdb -T rfm_template "$PGDATABASE"
sql -v scale=0.02 -v as_of=2024-01-21 -f "$RFM_SOURCE_DIR/demo/thelook.sql" >"$directory/thelook"
sql -v hostile="$hostile" -f "$here/include/metabase.sql" -f - >"$directory/models" <<'SQL'
	SELECT rfm.create_thelook_model('shop', as_of => '2024-01-21');
	SELECT rfm.create_model('no_visits', 'shop.order_lines', 'shop.accounts', 'shop.products', as_of => '2024-01-21');
	SELECT rfm.create_model(:'hostile', 'shop.order_lines', as_of => '2024-01-21', storage => 'view');
	CREATE ROLE metabase_reader LOGIN;
	SELECT rfm.grant_read(m.model, 'metabase_reader') FROM rfm.models m;
	-- who may not see single customers
	REVOKE SELECT ON shop.customers, shop.segment_history FROM metabase_reader;
SQL

# ---------- the questions ----------

failed=
for file in "$metabase"/questions/*.sql; do
	output=$(sql -U metabase_reader --csv -P tuples_only=off -v model=shop -f "$file" 2>&1) || failed+="${file##*/}: $output"$'\n'
	[[ $output == *$'\n'* ]] || failed+="${file##*/}: no row"$'\n'
	[ "$(tail -c 2 "$file")" = ';' ] || failed+="${file##*/}: does not end with a semicolon"$'\n'
done
is 'every question runs in psql as a reader without the customers, and has rows' "$failed" ''
is 'they are many' "$(find "$metabase/questions" -name '*.sql' | wc -l)" 21

if ! command -v node >/dev/null || [ "$(node -p 'parseInt(process.versions.node)')" -lt 18 ]; then
	echo "ok $((tests += 1)) # SKIP Node.js 18 or later is not installed: Debian's package is nodejs"
	done_testing
	exit
fi

# ---------- a server ----------

# Writes what Metabase has: TAG [ANSWERS].  After a sync it knows the relations that its role reads.
set_up() {
	sql -U metabase_reader -v tag="$1" -v answer="${2:-{\}}" >"$directory/setup.json" <<-'SQL'
		SELECT jsonb_build_object('tag', :'tag', 'answer', :'answer'::jsonb, 'databases', jsonb_build_array(
			jsonb_build_object('id', 1, 'name', 'Sample Database', 'tables', '[]'::jsonb),
			jsonb_build_object('id', 7, 'name', 'The Shop', 'tables', jsonb_agg(jsonb_build_object('schema', nspname, 'name', relname))),
			jsonb_build_object('id', 8, 'name', 'twice', 'tables', '[]'::jsonb),
			jsonb_build_object('id', 9, 'name', 'twice', 'tables', '[]'::jsonb)))
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE relkind IN ('r', 'v', 'm') AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT');
	SQL
}

set_up v0.63.2
node "$here/include/metabase_server.mjs" "$directory" &
for ((i = 0; i < 300; i++)); do
	[ ! -s "$directory/port" ] || break
	sleep 0.1
done
METABASE_URL=http://127.0.0.1:$(cat "$directory/port")
export METABASE_URL METABASE_API_KEY=right_key
unset METABASE_USER METABASE_PASSWORD

# Publishes; prints the exit code after the output, and forgets earlier requests.
publish() {
	local status=0
	rm -f "$directory/requests"
	node "$metabase/publish.mjs" "$@" 2>&1 || status=$?
	echo "exit $status"
}

# The requests that write, counted.
writes() {
	grep -v ' GET ' "$directory/requests" | sed 's/[0-9]*$//' | sort | uniq -c | sed 's/^ *//'
}

# Asks what the server holds: an SQL expression over its state, the jsonb s.
state() {
	sql -U metabase_reader <<-SQL
		\\set content \`cat "$directory/state.json"\`
		SELECT set_config('test.state', :'content', false) \\g /dev/null
		SELECT $1 FROM (SELECT current_setting('test.state')::jsonb AS s) x;
	SQL
}

# ---------- the first run ----------

output=$(publish --database 'The Shop')
is 'publishes' "$output" "created  Customers"$'\n'"*created  the dashboard: $METABASE_URL/dashboard/*"$'\n''exit 0'
is 'one collection, 21 cards, one dashboard' "$(writes)" \
	$'21 200 POST /api/card\n1 200 POST /api/collection\n1 200 POST /api/dashboard\n1 200 PUT /api/dashboard/'
is 'all in the collection' "$(state "(SELECT count(*) FROM jsonb_path_query(s, '\$.*[*].collection_id') c WHERE c = s #> '{collections,0,id}'),
	s #>> '{collections,0,name}'")" '22|Customer segments: shop'
is 'every chart finds the columns it names, and rows' \
	"$(state "(SELECT string_agg(concat_ws(' ', card, rows, problem), '; ') FROM check_cards(s -> 'cards') WHERE problem IS NOT NULL OR rows = 0)")" ''
is 'every card has a description' "$(state "(SELECT count(*) FROM jsonb_array_elements(s -> 'cards') c WHERE length(c ->> 'description') > 20)")" 21
is 'the cards ask the database by its id' "$(state "jsonb_path_query_array(s, '\$.cards[*].dataset_query.database ? (@ != 7)')")" '[]'
is 'every card is on the dashboard once' "$(state "(SELECT count(*) = count(DISTINCT d -> 'card_id') AND count(*) = 21 FROM jsonb_array_elements(s #> '{dashboards,0,dashcards}') d)")" t
is 'none lies on another' "$(state "misplaced(s #> '{dashboards,0,dashcards}')")" 0
is 'a treemap of the segments' "$(state "(SELECT c ->> 'display' FROM jsonb_array_elements(s -> 'cards') c WHERE c ->> 'name' = 'Customers by segment')")" treemap

# ---------- again, after the dashboard was arranged by hand ----------

rearranged=$(publish --database 'The Shop' --dry-run)
is 'a dry run writes nothing' "$(writes || :)" ''
is 'and prints what it would' "$rearranged" '*PUT /api/card/*"display": "treemap"*exit 0'
node --input-type=module - "$METABASE_URL" <<'JS'
	// The first card goes to the second tab, the last two are removed, a text and another tab come.
	const [url] = process.argv.slice(2);
	const send = (method, path, body) => fetch(url + path, { method, headers: { 'x-api-key': 'right_key' }, body: body && JSON.stringify(body) });
	const [{ id }] = (await (await send('GET', '/api/collection/101/items?models=dashboard')).json()).data;
	const { dashcards } = await (await send('GET', `/api/dashboard/${id}`)).json();
	const kept = dashcards.slice(0, -2).map(({ id, card_id, row, col, size_x, size_y }, i) => ({ id, card_id, row: i ? row + 4 : row, col, size_x, size_y, dashboard_tab_id: i ? 1 : 2 }));
	kept.push({ id: -1, row: 0, col: 3, size_x: 20, size_y: 4, dashboard_tab_id: 1, visualization_settings: { text: 'Hello' } });
	const response = await send('PUT', `/api/dashboard/${id}`, { dashcards: kept, tabs: [{ id: 1, name: 'One' }, { id: 2, name: 'Two' }] });
	if (response.status !== 200) {
		console.log(`# ${await response.text()}`);
	}
JS
places="(SELECT jsonb_agg(d - '{visualization_settings,series,parameter_mappings,inline_parameters,action_id}'::text[])
	FROM jsonb_array_elements(s #> '{dashboards,0,dashcards}') d)"
before=$(state "$places")
output=$(publish --database 7)
is 'a second run creates nothing' "$(writes)" $'21 200 PUT /api/card/\n1 200 PUT /api/dashboard/'
is 'and says so' "$(grep -c '^updated ' <<<"$output") $(grep -c '^created ' <<<"$output")" '22 0'
is 'what was arranged stays' "$(state "$places @> '$before'")" t
is 'the two that were missing come back, once, below' "$(state "(SELECT count(*) = 22 AND misplaced(s #> '{dashboards,0,dashcards}') = 0 FROM jsonb_array_elements(s #> '{dashboards,0,dashcards}') d)")" t
is 'the tabs stay, too' "$(state "jsonb_path_query_array(s, '\$.dashboards[0].tabs[*].name')")" '\["One", "Two"\]'

# ---------- other models ----------

output=$(publish --database 'The Shop' --model no_visits --collection 'Without visits')
is 'a model without visits: the question is skipped, with the reason' "$output" \
	'skipped  Are promising*: Metabase knows no view promising_activity of model "no_visits"'$'\n''created  *exit 0'
is 'the others are there' "$(writes)" $'20 200 POST /api/card\n*'
is 'in a collection of their own' "$(state "s #>> '{collections,1,name}'")" 'Without visits'
is 'without a gap of theirs' "$(state "misplaced(s #> '{dashboards,1,dashcards}')")" 0

output=$(publish --database 'The Shop' --model "$hostile")
is 'a model of a hostile name' "$output" '*exit 0'
is 'its schema is quoted: the SQL that was sent runs' \
	"$(state "(SELECT count(*) || concat(string_agg(problem, ',')) FROM check_cards(jsonb_path_query_array(s, '\$.cards[*] ? (@.collection_id == \$id)',
		jsonb_build_object('id', s #> '{collections,2,id}'))))")" 17
is 'one that Metabase would read as a variable' "$(publish --database 'The Shop' --model 'a{{b}}')" '*cannot read a model with {{*exit 1'

# ---------- other versions, another way to log in ----------

set_up v1.62.4.1
output=$(METABASE_API_KEY='' METABASE_USER=user@example.com METABASE_PASSWORD=right_password publish --database 'The Shop')
is 'Metabase 62 has no treemap: bars instead' "$output" '*updated  Customers by segment as row: treemap needs Metabase 63*exit 0'
is 'which find their columns' "$(state "(SELECT string_agg(display || problem, ',') FROM (SELECT c ->> 'display' AS display, k.* FROM jsonb_array_elements(s -> 'cards') c,
	check_cards(jsonb_build_array(c)) k WHERE c ->> 'name' = 'Customers by segment') x)")" ''
is 'with user and password it logs in and out' "$(sed -n '1p;$p' "$directory/requests")" $'200 POST /api/session\n204 DELETE /api/session'
set_up vLOCAL_DEV
is 'a version that is not told counts as old' "$(publish --database 'The Shop')" '*as row*exit 0'
set_up v0.48.9
is 'too old' "$(publish --database 'The Shop')" '*Metabase v0.48.9 is too old: 49 or later*exit 1'

# ---------- errors ----------

set_up v0.63.2
output=$(METABASE_API_KEY=secret_key publish --database 'The Shop')
is 'a wrong key' "$output" '*401 Unauthenticated*does not accept METABASE_API_KEY*API keys*exit 1'
is 'is not printed' "${output/secret_key/}" "$output"
output=$(METABASE_API_KEY=$'secret\nkey' publish --database 'The Shop')
is 'nor one that is no key at all' "$output" 'publish.mjs: METABASE_API_KEY holds blanks*exit 1'
is 'a key that may only read' "$(METABASE_API_KEY=reader_key publish --database 'The Shop' --collection new)" '*403*permission*exit 1'
is 'a wrong password' "$(METABASE_API_KEY='' METABASE_USER=user@example.com METABASE_PASSWORD=secret publish --database 'The Shop')" \
	'*401*does not accept METABASE_USER and METABASE_PASSWORD*exit 1'
is 'neither' "$(METABASE_API_KEY='' publish --database 'The Shop')" 'publish.mjs: Set METABASE_API_KEY, or*exit 1'
is 'an unknown database: those there are' "$(publish --database 'The Shed')" '*no database "The Shed"*The Shop (id 7)*exit 1'
is 'two of a name' "$(publish --database twice)" '*give --database the id*twice (id 8)*twice (id 9)*exit 1'
is 'no database given' "$(publish)" '*Name the database*exit 1'
is 'an unknown option' "$(publish --databse x)" "*'--databse'*exit 1"
is 'a model that Metabase does not know' "$(publish --database 'The Shop' --model shoe)" \
	'*no view of model "shoe"*Sync database schema*grant_read*Schemas that it knows: *, shop*exit 1'
is 'a schema that is no model' "$(publish --database 'The Shop' --model information_schema)" '*none of the views of a model*exit 1'
set_up v0.63.2 '{"GET /api/database": [302, {"location": "https://elsewhere.example.com/api/database"}, ""]}'
is 'a redirect is told, not followed' "$(publish --database 'The Shop')" '*redirected to https://elsewhere.example.com/*exit 1'
set_up v0.63.2 '{"GET /api/database": [200, {}, "<html>Log in</html>"]}'
is 'something else answers' "$(publish --database 'The Shop')" '*not JSON. Is METABASE_URL*exit 1'
set_up v0.63.2 '{"POST /api/card": [400, {}, "{\"errors\": {\"display\": \"no such thing\"}}"]}'
is 'a refusal is shown' "$(publish --database 'The Shop' --collection another)" '*POST */api/card: 400 {"display":"no such thing"}*exit 1'
is 'no address' "$(METABASE_URL='' publish --database x)" '*Set METABASE_URL*exit 1'
is 'an address with a password' "$(METABASE_URL=http://me:secret@127.0.0.1 publish --database x)" 'publish.mjs: METABASE_URL holds a user*exit 1'
end_jobs
is 'a server that is down' "$(publish --database 'The Shop')" '*GET http://127.0.0.1:*: ECONNREFUSED. Is METABASE_URL right*exit 1'

done_testing
