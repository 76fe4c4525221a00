import java.sql.Timestamp;
import java.util.List;
import org.apache.iceberg.exceptions.CommitFailedException;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * What Spark's maintenance does to a table of audit-host, in the catalog that the host writes.
 *
 * <p>java -cp 'lib/*' Maintain.java CATALOG_DB WAREHOUSE NAMESPACE.TABLE ACTION…, with the flags that README.md lists. Each
 * action prints one line: its name and what Iceberg's procedure returns. ACTION is count, expire=N (keep N snapshots),
 * data-files, manifests, rollback (to the snapshot before the newest) or forward (to the newest).
 */
public final class Maintain {
  private static final int ATTEMPTS_MAX = 20;

  private final SparkSession spark;
  private final String table;

  private Maintain(SparkSession spark, String table) {
    this.spark = spark;
    this.table = table;
  }

  public static void main(String[] args) {
    String catalog = "spark.sql.catalog.audit_host";
    SparkSession spark = SparkSession.builder()
        .master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        // Iceberg 1.10 cannot read DELTA_LENGTH_BYTE_ARRAY, which the host writes, in its vectorized reader.
        .config("spark.sql.iceberg.vectorization.enabled", "false")
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config(catalog, "org.apache.iceberg.spark.SparkCatalog")
        .config(catalog + ".catalog-impl", "org.apache.iceberg.jdbc.JdbcCatalog")
        .config(catalog + ".uri", "jdbc:sqlite:" + args[0])
        .config(catalog + ".jdbc.schema-version", "V1")
        // Iceberg 1.10 leaves a cursor open after it has looked for the catalog's tables: from then on that connection
        // can write only if nobody else has (SQLITE_BUSY_SNAPSHOT).
        .config(catalog + ".jdbc.init-catalog-tables", "false")
        .config(catalog + ".warehouse", "file://" + args[1])
        .getOrCreate();
    Maintain maintain = new Maintain(spark, args[2]);
    for (int i = 3; i < args.length; i++) {
      System.out.println(args[i] + " " + maintain.runBesideTheHost(args[i]));
    }
    spark.stop();
  }

  /** A host that commits several times a second wins some of the races. */
  private List<Row> runBesideTheHost(String action) {
    for (int attempt = 1; ; attempt++) {
      try {
        return run(action);
      } catch (CommitFailedException error) {
        if (attempt == ATTEMPTS_MAX) {
          throw error;
        }
        System.out.println(action + " attempt " + attempt + ": " + error.getMessage());
      }
    }
  }

  private List<Row> run(String action) {
    String[] parts = action.split("=");
    String named = "table => '" + table + "'";
    switch (parts[0]) {
      case "count":
        return sql("SELECT count(*), count(DISTINCT source_topic, source_partition, source_offset) FROM audit_host."
            + table);
      case "expire":
        return sql("CALL audit_host.system.expire_snapshots(" + named + ", older_than => TIMESTAMP '"
            + new Timestamp(System.currentTimeMillis()) + "', retain_last => " + parts[1] + ")");
      case "data-files":
        return sql("CALL audit_host.system.rewrite_data_files(" + named
            + ", options => map('rewrite-all', 'true'))");
      case "manifests":
        return sql("CALL audit_host.system.rewrite_manifests(" + named + ")");
      case "rollback":
        return sql("CALL audit_host.system.rollback_to_snapshot('" + table + "', " + snapshot(1) + ")");
      case "forward":
        return sql("CALL audit_host.system.set_current_snapshot('" + table + "', " + snapshot(0) + ")");
      default:
        throw new IllegalArgumentException(action);
    }
  }

  /** The id of the newest snapshot with rows of the host, or of an earlier one. */
  private String snapshot(int back) {
    List<Row> ids = sql("SELECT snapshot_id FROM audit_host." + table
        + ".snapshots WHERE summary['audit-host.epoch'] IS NOT NULL ORDER BY committed_at DESC");
    return String.valueOf(ids.get(back).getLong(0));
  }

  private List<Row> sql(String statement) {
    return spark.sql(statement).collectAsList();
  }
}
