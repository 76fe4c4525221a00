//! Which partitions there are, where each starts, and where it ended when we started.

use std::collections::HashMap;
use std::sync::Arc;

use audit_core::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::error::Error;
use crate::settings::{ASK_TIMEOUT, Settings, Start};

/// How far one partition has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// The offset to read next.
    pub(crate) next: i64,
    /// Where the partition ended when it was assigned.
    pub(crate) end: i64,
    /// Whether the broker said that there is no more for now.
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

/// The partition numbers of a topic.
pub(crate) fn partitions(
    consumer: &BaseConsumer,
    settings: &Settings,
    topic: &str,
) -> Result<Vec<i32>, Error> {
    let metadata = consumer.fetch_metadata(Some(topic), ASK_TIMEOUT).map_err(|cause| {
        Error::Unreachable {
            brokers: settings.brokers.clone(),
            topic: topic.to_owned(),
            waited_s: ASK_TIMEOUT.as_secs(),
            cause,
        }
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found {
        Some(found) if found.error().is_none() && !found.partitions().is_empty() => {
            Ok(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
        }
        _ => Err(Error::NoSuchTopic {
            topic: topic.to_owned(),
            brokers: settings.brokers.clone(),
        }),
    }
}

fn start_of(
    consumer: &BaseConsumer,
    settings: &Settings,
    partition: &TopicPartition,
) -> Result<Progress, Error> {
    let (oldest, newest) = consumer
        .fetch_watermarks(&partition.topic, partition.partition, ASK_TIMEOUT)
        .map_err(|cause| Error::Watermarks { partition: partition.clone(), cause })?;
    let next = match settings.resume.get(partition) {
        None if settings.start == Start::Latest => newest,
        None => oldest,
        Some(&wanted) if wanted > newest => {
            return Err(Error::TopicIsNewer { partition: partition.clone(), wanted, newest });
        }
        Some(&wanted) if wanted < oldest => {
            let missing = oldest - wanted;
            if !settings.continue_on_gap {
                let partition = partition.clone();
                return Err(Error::Gap { partition, wanted, oldest, missing });
            }
            tracing::error!(%partition, wanted, oldest, missing, "going on behind deleted records");
            oldest
        }
        Some(&wanted) => wanted,
    };
    Ok(Progress { next, end: newest, at_end: next >= newest })
}

/// What librdkafka needs to know of an assignment.
pub(crate) fn to_list(assignment: &Assignment) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(assignment.len());
    for (partition, progress) in assignment {
        list.add_partition_offset(
            &partition.topic,
            partition.partition,
            Offset::Offset(progress.next),
        )
        .map_err(|cause| Error::Assign { n_partitions: assignment.len(), cause })?;
    }
    Ok(list)
}
