//! The counters for Prometheus: `GET /metrics` in the OpenMetrics text format.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use audit_core::Counters;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::error::Error;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Clients may be slow or hostile: only so many are answered at a time, ...
const CONNECTIONS_MAX: usize = 16;
/// ... and each has this long.
const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// Listens, and serves until the process ends. Returns the address that was bound.
pub(crate) async fn serve(
    address: SocketAddr,
    counters: Arc<Counters>,
) -> Result<SocketAddr, Error> {
    let failed = |cause| Error::Metrics { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for metrics");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let counters = Arc::clone(&counters);
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let response = answer(&request, &counters);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answer);
                // A failure here is the client's, which may retry.
                let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
                drop(place);
            });
        }
    });
    Ok(bound)
}

fn answer(request: &Request<Incoming>, counters: &Counters) -> Response<Full<Bytes>> {
    let refused = |status, text: &'static str| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        return refused(StatusCode::NOT_FOUND, "only /metrics is served\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    let Ok(text) = text(counters) else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "the counters cannot be encoded\n");
    };
    let mut response = Response::new(Full::from(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(OPEN_METRICS));
    response
}

/// Every counter.
fn text(counters: &Counters) -> Result<String, std::fmt::Error> {
    let mut registry = prometheus_client::registry::Registry::with_prefix("audit_host");
    let mut show = |name: &str, help: &str, value: &AtomicU64| {
        registry.register(name, help, ConstCounter::new(Counters::get(value)));
    };
    // Destructured, so that a counter that is not shown does not compile.
    let Counters {
        records_read,
        bytes_read,
        alignment_timeouts,
        partitions_unaligned,
        rows_committed,
        dead_letters,
        alerts,
        epochs,
        plugin_failures,
        plugin_poison_rows,
        plugin_changes,
        plugin_refusals,
        plugin_breaker_batches,
        plugin_states_lost,
        lookup_changes,
        lookup_refusals,
    } = counters;
    show("records_read", "Records read from Kafka", records_read);
    show(
        "alignment_timeouts",
        "How often a partition that delivered nothing held the others for too long",
        alignment_timeouts,
    );
    show("rows_committed", "Rows in committed epochs", rows_committed);
    show("dead_letters", "Dead letters in committed epochs", dead_letters);
    show("alerts", "Alerts delivered", alerts);
    show("epochs", "Epochs committed", epochs);
    show("plugin_failures", "Plugin calls that failed", plugin_failures);
    show("plugin_poison_rows", "Rows on which a plugin failed", plugin_poison_rows);
    show("plugin_changes", "Plugins loaded while running", plugin_changes);
    show("plugin_refusals", "Plugin reloads that were rejected", plugin_refusals);
    show(
        "plugin_breaker_batches",
        "Batches that bypassed a plugin because it had failed on every row",
        plugin_breaker_batches,
    );
    show("plugin_states_lost", "Detector states that were lost", plugin_states_lost);
    show("lookup_changes", "Lookups reloaded", lookup_changes);
    show("lookup_refusals", "Lookup reloads that were rejected", lookup_refusals);
    let unaligned = ConstGauge::new(Counters::get(partitions_unaligned));
    let help = "Partitions that the others are read without at the moment";
    registry.register("partitions_unaligned", help, unaligned);
    let bytes = ConstCounter::new(Counters::get(bytes_read));
    registry.register_with_unit("read", "Payload read from Kafka", Unit::Bytes, bytes);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn asked(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn every_counter_is_shown_and_nothing_else() {
        let counters = Arc::new(Counters::default());
        Counters::add(&counters.plugin_refusals, 3);
        Counters::add(&counters.bytes_read, 1024);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = serve(any, Arc::clone(&counters)).await.unwrap();
        let said = asked(address, "GET /metrics").await;
        assert!(said.starts_with("HTTP/1.1 200") && said.contains(OPEN_METRICS), "{said}");
        assert!(said.contains("\naudit_host_plugin_refusals_total 3\n"), "{said}");
        assert!(said.contains("\naudit_host_read_bytes_total 1024\n"), "{said}");
        assert!(said.ends_with("# EOF\n"), "{said}");
        assert_eq!(said.matches("# TYPE").count(), 16);
        assert!(asked(address, "GET /").await.starts_with("HTTP/1.1 404"));
        assert!(asked(address, "POST /metrics").await.starts_with("HTTP/1.1 405"));
        let taken = serve(address, counters).await.err().map(|error| error.to_string());
        assert!(taken.is_some_and(|text| text.contains("--metrics")));
    }
}
