// DuckDB for bench.py: reads one JSON object per line, {"sql": ..., "fetch": true or false}, and answers each with one,
// {"seconds", "columns", "rows"} or {"error"}.  The time is that of the statement with its rows fetched.
//
//	node duckdb.mjs DATABASE THREADS

import { createInterface } from 'node:readline';
import { DuckDBInstance } from '@duckdb/node-api';

const instance = await DuckDBInstance.create(process.argv[2], { threads: process.argv[3] });
const connection = await instance.connect();

for await (const line of createInterface({ input: process.stdin })) {
	const { sql, fetch } = JSON.parse(line);
	let answer;
	try {
		const start = process.hrtime.bigint();
		if (fetch) {
			const reader = await connection.runAndReadAll(sql);
			const rows = reader.getRowsJson();
			answer = { seconds: Number(process.hrtime.bigint() - start) / 1e9, columns: reader.columnNames(), rows };
		} else {
			await connection.run(sql);
			answer = { seconds: Number(process.hrtime.bigint() - start) / 1e9 };
		}
	} catch (error) {
		answer = { error: String(error.message ?? error) };
	}
	process.stdout.write(JSON.stringify(answer) + '\n');
}
