//! Tests of the choice of the connection that closes in favour of a new one: step by step, and with random steps.

use proptest::prelude::*;

use super::*;

#[test]
fn the_connection_that_is_idle_longest_closes_first() {
    let mut table = Table::default();
    let ids: Vec<_> = (0..4).map(|_| table.open(4).unwrap()).collect();
    assert_eq!((table.open(4), table.shed(4)), (None, None), "all are busy");
    for id in &ids {
        table.idle(*id);
    }
    // The first connection answers a request, and is then the one that became idle last.
    table.busy(ids[0]);
    table.idle(ids[0]);
    assert_eq!(table.shed(4), Some(ids[1]));
    assert_eq!(table.shed(4), None, "one is already closing");
    assert_eq!(table.open(4), None, "it counts until it has closed");
    table.close(ids[1]);
    assert!(table.open(4).is_some());
    assert_eq!(table.shed(4), Some(ids[2]));
    // A request came before the connection could close: it is answered, and another one closes.
    table.busy(ids[2]);
    assert_eq!(table.shed(4), Some(ids[3]));
}

#[test]
fn a_blocked_connection_closes_if_none_is_idle() {
    let mut table = Table::default();
    let ids: Vec<_> = (0..3).map(|_| table.open(3).unwrap()).collect();
    table.block(ids[1]);
    table.block(ids[0]);
    table.idle(ids[2]);
    assert_eq!(table.shed(3), Some(ids[2]));
    table.close(ids[2]);
    assert!(table.open(3).is_some());
    assert_eq!(table.shed(3), Some(ids[1]), "it has been blocked longest");
    table.busy(ids[1]);
    table.busy(ids[0]);
    assert_eq!(table.shed(3), None, "both clients have read");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Busy(usize),
    Idle(usize),
    Close(usize),
    Shed,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Open),
        3 => (0..8_usize).prop_map(Step::Busy),
        4 => (0..8_usize).prop_map(Step::Idle),
        1 => (0..8_usize).prop_map(Step::Close),
        3 => Just(Step::Shed),
    ]
}

proptest! {
    /// Compares the table with a plain list in the order in which connections became idle.
    #[test]
    fn only_idle_connections_close_and_the_longest_idle_first(
        limit in 1..6_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut table = Table::default();
        let (mut open, mut idle, mut closing) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            let pick = |index: usize, open: &[Id]| open.get(index).copied();
            match step {
                Step::Open => match table.open(limit) {
                    Some(id) => open.push(id),
                    None => prop_assert_eq!(open.len(), limit),
                },
                Step::Busy(index) => if let Some(id) = pick(index, &open) {
                    table.busy(id);
                    idle.retain(|other| *other != id);
                    closing.retain(|other| *other != id);
                },
                Step::Idle(index) => if let Some(id) = pick(index, &open) {
                    table.idle(id);
                    closing.retain(|other| *other != id);
                    idle.retain(|other| *other != id);
                    idle.push(id);
                },
                Step::Close(index) => if let Some(id) = pick(index, &open) {
                    table.close(id);
                    for list in [&mut open, &mut idle, &mut closing] {
                        list.retain(|other| *other != id);
                    }
                },
                Step::Shed => {
                    let full = open.len() - closing.len() >= limit;
                    let expected = if full { idle.first().copied() } else { None };
                    prop_assert_eq!(table.shed(limit), expected);
                    if let Some(id) = expected {
                        idle.remove(0);
                        closing.push(id);
                    }
                }
            }
            prop_assert!(open.len() <= limit);
            let counts = (table.phases.len(), table.idle.len(), table.closing);
            prop_assert_eq!(counts, (open.len(), idle.len(), closing.len()));
        }
    }
}

/// Each connection takes as long to close as one that waits for the rest of a head.
#[tokio::test]
async fn connections_that_close_slowly_do_not_delay_new_ones_in_sequence() {
    const LIMIT: usize = 64;
    let connections = Connections::new(LIMIT, KeepAlive::SHORT, CloseTimes::INTERNET, ConnectionCounts::default());
    let connect = async || {
        let slot = connections.admit().await;
        slot.idle();
        tokio::spawn(async move {
            slot.asked_to_close().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
    };
    for _ in 0..LIMIT {
        connect().await;
    }
    let start = Instant::now();
    for _ in 0..100 {
        connect().await;
    }
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?} for 100; in sequence they take 10 s");
}

#[tokio::test]
async fn a_connection_is_busy_until_its_answer_is_written() {
    let connections = Connections::new(1, KeepAlive::SHORT, CloseTimes::INTERNET, ConnectionCounts::default());
    let slot = connections.admit().await;
    slot.idle();
    let answering = slot.begin_request();
    drop(answering);
    assert_eq!(connections.shed(1), None);
    assert!(slot.is_answering(), "the answer is not written yet");
    assert_eq!(connections.counts.shed.get(), 0);
    slot.flushed();
    assert!(connections.shed(1).is_some());
    slot.asked_to_close().await;
    assert!(slot.is_closing());
    assert_eq!((connections.counts.shed.get(), connections.counts.open.get()), (0, 1));
    drop(slot);
    assert_eq!((connections.counts.shed.get(), connections.counts.open.get()), (1, 0));
    drop(connections.admit().await);
    connections.close_all().await;
}
