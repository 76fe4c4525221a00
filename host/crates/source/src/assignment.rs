//! The partitions of the topics, where each starts, and where it ended at the start.

use std::collections::HashMap;
use std::sync::Arc;

use audit_core::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};

use crate::error::Error;
use crate::ffi::topic_id;
use crate::settings::{ASK_TIMEOUT, Settings, Start};

/// How far one partition has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// The offset up to which everything is covered.
    pub(crate) next: i64,
    /// The offset to fetch first. It is after `next` only if records were deleted and the user chose to continue:
    /// the offsets between are then covered as holes, with the first record that arrives.
    pub(crate) fetch_from: i64,
    /// Where the partition ended when it was assigned.
    pub(crate) end: i64,
    /// Whether the broker reported the end of the partition.
    pub(crate) at_end: bool,
}

pub(crate) type Assignment = HashMap<TopicPartition, Progress>;

/// Finds every partition of the topics and where to start in it.
pub(crate) fn plan(
    consumer: &BaseConsumer,
    settings: &Settings,
    topics: &[Arc<str>],
) -> Result<Assignment, Error> {
    let mut assignment = Assignment::new();
    for topic in topics {
        for partition in partitions(consumer, settings, topic)? {
            let partition = TopicPartition::new(topic, partition);
            let progress = start_of(consumer, settings, &partition)?;
            assignment.insert(partition, progress);
        }
    }
    Ok(assignment)
}

fn metadata(consumer: &BaseConsumer, settings: &Settings, topic: &str) -> Result<Metadata, Error> {
    consumer.fetch_metadata(Some(topic), ASK_TIMEOUT).map_err(|cause| Error::Unreachable {
        brokers: settings.brokers.clone(),
        topic: topic.to_owned(),
        waited_s: ASK_TIMEOUT.as_secs(),
        cause,
    })
}

/// The partition numbers of a topic.
pub(crate) fn partitions(
    consumer: &BaseConsumer,
    settings: &Settings,
    topic: &str,
) -> Result<Vec<i32>, Error> {
    let metadata = metadata(consumer, settings, topic)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found {
        Some(found) if found.error().is_none() && !found.partitions().is_empty() => {
            Ok(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
        }
        _ => Err(Error::NoSuchTopic { topic: topic.to_owned(), brokers: settings.brokers.clone() }),
    }
}

/// The oldest offset of the partition, and the offset that its next record will get.
fn watermarks(consumer: &BaseConsumer, partition: &TopicPartition) -> Result<(i64, i64), Error> {
    consumer
        .fetch_watermarks(&partition.topic, partition.partition, ASK_TIMEOUT)
        .map_err(|cause| Error::Watermarks { partition: partition.clone(), cause })
}

fn start_of(
    consumer: &BaseConsumer,
    settings: &Settings,
    partition: &TopicPartition,
) -> Result<Progress, Error> {
    let (oldest, newest) = watermarks(consumer, partition)?;
    let (next, fetch_from) = match settings.resume.get(partition) {
        None if settings.start == Start::Latest && !settings.knows_topic(partition) => {
            (newest, newest)
        }
        None => (oldest, oldest),
        Some(&wanted) if wanted > newest => {
            return Err(Error::TopicIsNewer { partition: partition.clone(), wanted, newest });
        }
        Some(&wanted) if wanted < oldest => {
            let missing = oldest - wanted;
            if !settings.continue_on_gap {
                let partition = partition.clone();
                return Err(Error::Gap { partition, wanted, oldest, missing });
            }
            tracing::error!(%partition, wanted, oldest, missing, "skipping deleted records");
            (wanted, oldest)
        }
        Some(&wanted) => (wanted, wanted),
    };
    Ok(Progress { next, fetch_from, end: newest, at_end: fetch_from >= newest })
}

/// Where to start in a partition that was added to a topic during the run: at its oldest record.
pub(crate) fn start_of_new(
    consumer: &BaseConsumer,
    partition: &TopicPartition,
) -> Result<Progress, Error> {
    let (oldest, newest) = watermarks(consumer, partition)?;
    Ok(Progress { next: oldest, fetch_from: oldest, end: newest, at_end: false })
}

/// An assignment in the form of librdkafka.
pub(crate) fn to_list(assignment: &Assignment) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(assignment.len());
    for (partition, progress) in assignment {
        list.add_partition_offset(
            &partition.topic,
            partition.partition,
            Offset::Offset(progress.fetch_from),
        )
        .map_err(|cause| Error::Assign { n_partitions: assignment.len(), cause })?;
    }
    Ok(list)
}

/// Kafka's ids of the topics. A topic whose id is not the one in the table was recreated: its offsets mean other
/// records, and continuing would skip as many as the table holds.
pub(crate) fn check_topic_ids(
    consumer: &BaseConsumer,
    settings: &Settings,
) -> Result<HashMap<String, String>, Error> {
    let mut ids = HashMap::new();
    for topic in &settings.topics {
        let broker = metadata(consumer, settings, topic)?.orig_broker_id();
        let answer = topic_id(consumer, broker, topic, ASK_TIMEOUT)
            .map_err(|problem| Error::TopicId { topic: topic.clone(), problem })?;
        // Brokers older than 2.8 and the embedded one have no ids.
        let Some(found) = answer else { continue };
        match settings.topic_ids.get(topic) {
            Some(known) if *known != found => {
                let (topic, known) = (topic.clone(), known.clone());
                return Err(Error::TopicRecreated { topic, known, found });
            }
            _ => ids.insert(topic.clone(), found),
        };
    }
    Ok(ids)
}
