//! A broker inside this process, for the demo: librdkafka's own mock cluster on real sockets.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::error::Error;

/// Lives as long as this value. Holds at most 5 MiB per partition, in memory, and silently drops the oldest
/// records beyond that: good for a demo, useless for anything else.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts a broker with one topic on a free loopback port.
    pub fn start(topic: &str, partitions: i32) -> Result<Self, Error> {
        let cluster = MockCluster::new(1).map_err(Error::Embedded)?;
        cluster.create_topic(topic, partitions, 1).map_err(Error::Embedded)?;
        Ok(Self { cluster })
    }

    /// `host:port`, as other processes can use it too.
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
