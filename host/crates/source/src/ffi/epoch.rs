//! The leader epoch beside an offset: with it, librdkafka asks the broker whether its log still holds what was read
//! before that offset (`OffsetForLeaderEpoch`), and fetches nothing until the answer is yes.

use std::ffi::CString;

use audit_core::TopicPartition;
use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;

/// Sets the leader epoch of a partition of the list.
pub(crate) fn set_leader_epoch(
    list: &mut TopicPartitionList,
    partition: &TopicPartition,
    epoch: i32,
) {
    let Ok(topic) = CString::new(&*partition.topic) else { return };
    // SAFETY: the list is alive and ours alone; what is found belongs to it, and is used before it changes.
    unsafe {
        let found = sys::rd_kafka_topic_partition_list_find(
            list.ptr(),
            topic.as_ptr(),
            partition.partition,
        );
        if !found.is_null() {
            sys::rd_kafka_topic_partition_set_leader_epoch(found, epoch);
        }
    }
}
