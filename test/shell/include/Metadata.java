// What a BI tool on the JDBC driver, as Metabase is, gets from a database, one line each, fields between tabs:
//
//	relation	schema	name	comment			those that the role may read
//	column		schema	name	column	type	comment
//	read		schema.name	rows				of the first 10000, which are read as text and in binary format
//	problem		where	what					what a tool cannot use or would get wrong
//
// java -cp DRIVER Metadata.java URL, with PGUSER and PGPASSWORD; the time zone of the JVM is that of the session.

import static java.util.Map.entry;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.JDBCType;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.postgresql.PGResultSetMetaData;

class Metadata {
	// A type that tools know what to do with: how the driver calls it and what it makes of a value.
	record Plain(JDBCType type, Class<?> value) {}

	static final Map<String, Plain> PLAIN = Map.ofEntries(
		entry("bool", new Plain(JDBCType.BIT, Boolean.class)),
		entry("int2", new Plain(JDBCType.SMALLINT, Integer.class)),
		entry("int4", new Plain(JDBCType.INTEGER, Integer.class)),
		entry("int8", new Plain(JDBCType.BIGINT, Long.class)),
		entry("numeric", new Plain(JDBCType.NUMERIC, BigDecimal.class)),
		entry("float8", new Plain(JDBCType.DOUBLE, Double.class)),
		entry("text", new Plain(JDBCType.VARCHAR, String.class)),
		entry("uuid", new Plain(JDBCType.OTHER, UUID.class)),
		entry("date", new Plain(JDBCType.DATE, Date.class)),
		entry("timestamp", new Plain(JDBCType.TIMESTAMP, Timestamp.class)),
		entry("timestamptz", new Plain(JDBCType.TIMESTAMP, Timestamp.class)));
	static final String[] KINDS = {"TABLE", "PARTITIONED TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE"};
	// From this execution of a statement on the driver prepares it on the server and asks for binary format, where it
	// knows one: that of numbers and times.
	static final int PREPARE_THRESHOLD = 2;
	static final int TEXT = 0, BINARY = 1, EITHER = -1;

	final Connection connection;
	final Set<String> troubled = new HashSet<>();

	Metadata(Connection connection) {
		this.connection = connection;
	}

	public static void main(String[] args) throws SQLException {
		String url = args[0] + "?prepareThreshold=" + PREPARE_THRESHOLD;
		try (Connection connection = DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"))) {
			connection.setReadOnly(true);
			// one transaction, so that now() stands still; rows come in batches in no other way
			connection.setAutoCommit(false);
			new Metadata(connection).sync();
		}
	}

	static void line(Object... fields) {
		List<String> texts = new ArrayList<>();
		for (Object field : fields) {
			texts.add(String.valueOf(field));
		}
		System.out.println(String.join("\t", texts));
	}

	// Tells one problem of each place.
	void problem(String where, String what) {
		if (troubled.add(where)) {
			line("problem", where, what);
		}
	}

	void sync() throws SQLException {
		List<String> schemas = new ArrayList<>();
		try (ResultSet s = connection.getMetaData().getSchemas()) {
			while (s.next()) {
				schemas.add(s.getString("TABLE_SCHEM"));
			}
		}
		List<String[]> relations = new ArrayList<>();
		try (ResultSet r = connection.getMetaData().getTables(null, null, "%", KINDS)) {
			while (r.next()) {
				String schema = r.getString("TABLE_SCHEM"), name = r.getString("TABLE_NAME");
				if (readable(schema, name)) {
					if (!schemas.contains(schema)) {
						problem(schema, "is not among the schemas");
					}
					line("relation", schema, name, r.getString("REMARKS"));
					relations.add(new String[] {schema, name});
				}
			}
		}
		for (String[] r : relations) {
			read(r[0], r[1], columns(r[0], r[1]));
		}
	}

	static String quoted(String... names) {
		return '"' + String.join("\".\"", names) + '"';
	}

	// The driver lists what is there; tools ask who may read it.
	boolean readable(String schema, String name) throws SQLException {
		try (PreparedStatement s = connection.prepareStatement(
				"SELECT has_schema_privilege(?, 'USAGE') AND has_any_column_privilege(?, 'SELECT')")) {
			s.setString(1, schema);
			s.setString(2, quoted(schema, name));
			ResultSet r = s.executeQuery();
			return r.next() && r.getBoolean(1);
		}
	}

	// The columns of a relation with their types.
	Map<String, Plain> columns(String schema, String name) throws SQLException {
		Map<String, Plain> columns = new HashMap<>();
		String escape = connection.getMetaData().getSearchStringEscape();
		try (ResultSet c = connection.getMetaData().getColumns(null, schema.replace("_", escape + "_"), name.replace("_", escape + "_"), "%")) {
			while (c.next()) {
				String column = c.getString("COLUMN_NAME"), type = c.getString("TYPE_NAME");
				Plain plain = PLAIN.get(type);
				line("column", schema, name, column, type, c.getString("REMARKS"));
				if (plain == null || c.getInt("DATA_TYPE") != plain.type.getVendorTypeNumber()) {
					problem(schema + "." + name + "." + column, "has type " + type + ", " + JDBCType.valueOf(c.getInt("DATA_TYPE")));
					plain = null;
				}
				columns.put(column, plain);
			}
		}
		return columns;
	}

	void read(String schema, String name, Map<String, Plain> columns) throws SQLException {
		Map<String, Object> times = new HashMap<>();
		String relation = schema + "." + name;
		try (PreparedStatement s = connection.prepareStatement("SELECT * FROM " + quoted(schema, name) + " LIMIT 10000")) {
			s.setFetchSize(500);
			List<String> text = rows(s, relation, columns, TEXT, times), binary = null;
			for (int i = 1; i <= PREPARE_THRESHOLD; i++) {
				binary = rows(s, relation, columns, i < PREPARE_THRESHOLD ? EITHER : BINARY, times);
			}
			if (!text.equals(binary)) {
				problem(relation, "differs between text and binary format");
			}
			line("read", relation, text.size());
		}
		for (Map.Entry<String, Object> t : times.entrySet()) {
			try (PreparedStatement s = connection.prepareStatement(
					"SELECT count(*) FROM " + quoted(schema, name) + " WHERE " + quoted(t.getKey()) + " = ?")) {
				s.setObject(1, t.getValue());
				ResultSet r = s.executeQuery();
				if (!r.next() || r.getLong(1) == 0) {
					problem(relation + "." + t.getKey(), "a filter does not find " + t.getValue());
				}
			}
		}
	}

	// The rows of a statement as text, sorted, without the columns that are not plain; a time of each column that has some.
	List<String> rows(PreparedStatement statement, String relation, Map<String, Plain> columns, int format, Map<String, Object> times)
			throws SQLException {
		List<String> rows = new ArrayList<>();
		try (ResultSet r = statement.executeQuery()) {
			ResultSetMetaData metadata = r.getMetaData();
			while (r.next()) {
				List<Object> row = new ArrayList<>();
				for (int i = 1; i <= metadata.getColumnCount(); i++) {
					String column = metadata.getColumnName(i);
					Plain plain = columns.get(column);
					Object value = r.getObject(i);
					if (plain != null) {
						String wrong = value == null ? null : wrong(r, i, value, plain, format);
						if (wrong != null) {
							problem(relation + "." + column, wrong);
						}
						if (value instanceof Timestamp || value instanceof Date) {
							times.put(column, time(r, i));
						}
						row.add(value);
					}
				}
				rows.add(row.toString());
			}
		}
		Collections.sort(rows);
		return rows;
	}

	// A time as tools ask for it and give it back in filters.
	static Object time(ResultSet r, int i) throws SQLException {
		return switch (r.getMetaData().getColumnTypeName(i)) {
			case "date" -> r.getObject(i, LocalDate.class);
			case "timestamp" -> r.getObject(i, LocalDateTime.class);
			default -> r.getObject(i, OffsetDateTime.class);
		};
	}

	// What is wrong with a value of a plain type, or null.
	static String wrong(ResultSet r, int i, Object value, Plain plain, int format) throws SQLException {
		int used = r.getMetaData().unwrap(PGResultSetMetaData.class).getFormat(i);
		if (format == TEXT && used != TEXT || format == BINARY && used != BINARY && value instanceof Double) {
			return "came in format " + used + ", not " + format;
		}
		if (!plain.value.isInstance(value)) {
			return value + " is a " + value.getClass().getSimpleName();
		}
		if (value instanceof Double d && !Double.isFinite(d)) {
			return value + " is not finite";
		}
		if (value instanceof Date || value instanceof Timestamp) {
			Object time = time(r, i);
			boolean same = time instanceof LocalDate date && date.equals(((Date) value).toLocalDate())
				|| time instanceof LocalDateTime local && local.equals(((Timestamp) value).toLocalDateTime())
				|| time instanceof OffsetDateTime instant && instant.toInstant().equals(((Timestamp) value).toInstant());
			return same ? null : value + " is not " + time;
		}
		return null;
	}
}
