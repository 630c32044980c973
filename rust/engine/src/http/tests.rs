//! The connections against a venue on real sockets.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::Cause;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use super::{Connections, Exchange, Lane, Lost, Outgoing, Probing};
use crate::clock;
use crate::declared_routes::Routes;
use crate::netrc::Netrc;
use crate::socket::{Host, Trust};

const FLOOR: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(400);
const FOR_EVER: Duration = Duration::from_secs(600);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// What a venue does with each request of its connections, by turns.
#[derive(Debug, Clone)]
enum Turn {
    Say(Vec<u8>),
    Slowly(Vec<u8>),
    Silence,
    Reset,
    Close,
}

/// What connects to the venue, and how deaf it is.
#[derive(Debug, Default)]
struct Deaf {
    accepted: Cell<usize>,
    /// Connections that were accepted before this one are answered no more.
    before: Cell<usize>,
    to_orders: Cell<bool>,
    /// Nothing is answered until it is back, then everything.
    is_away: Cell<bool>,
}

async fn serve(mut stream: TcpStream, turns: Rc<RefCell<Vec<Turn>>>, deaf: Rc<Deaf>, number: usize) {
    let mut seen = [0; 4_096];
    while let Ok(count @ 1..) = stream.read(&mut seen).await {
        let is_order = seen[..count].starts_with(b"POST");
        if number < deaf.before.get() || (is_order && deaf.to_orders.get()) {
            continue;
        }
        while deaf.is_away.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let turn = turns.borrow_mut().pop().unwrap_or(Turn::Say(OK.to_vec()));
        match turn {
            Turn::Say(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Turn::Slowly(bytes) => {
                for part in bytes.chunks(7) {
                    tokio::task::yield_now().await;
                    if stream.write_all(part).await.is_err() {
                        return;
                    }
                }
                return;
            }
            Turn::Silence => {}
            Turn::Reset => {
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                return;
            }
            Turn::Close => return,
        }
    }
}

type Faults = Rc<RefCell<Vec<(u64, Cause)>>>;

async fn venue(turns: Vec<Turn>) -> (Rc<Connections>, Faults) {
    let (connections, faults, _) = patient_venue(turns, PAUSE).await;
    (connections, faults)
}

async fn patient_venue(turns: Vec<Turn>, pause: Duration) -> (Rc<Connections>, Faults, Rc<Deaf>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (turns, deaf) = (Rc::new(RefCell::new(turns)), Rc::new(Deaf::default()));
    let accepting = Rc::clone(&deaf);
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = accepting.accepted.get();
            accepting.accepted.set(number + 1);
            spawn_local(serve(stream, Rc::clone(&turns), Rc::clone(&accepting), number));
        }
    });
    let trust = Trust::new(None).unwrap_or_else(|fault| panic!("{fault}"));
    let host =
        Host::of_url(&url, "http", &trust, &Routes::direct()).unwrap_or_else(|fault| panic!("{fault}"));
    let probing = Probing {
        interval: Duration::from_millis(50),
        floor: FLOOR,
        pause,
    };
    let connections = Rc::new(Connections::new(host, probing));
    let faults = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&faults);
    connections.report_to(move |generation, cause| seen.borrow_mut().push((generation, cause)));
    (connections, faults, deaf)
}

/// Probe for ever, as the work loop does.
fn keep_probing(connections: &Rc<Connections>) {
    let probing = Rc::clone(connections);
    spawn_local(async move {
        loop {
            probing.probe();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

async fn ask(connections: &Connections, lane: Lane) -> Exchange {
    send(connections, lane, Duration::from_millis(300)).await
}

async fn send(connections: &Connections, lane: Lane, limit: Duration) -> Exchange {
    let outgoing = Outgoing {
        method: Method::POST,
        target: "/order".to_owned(),
        headers: HeaderMap::new(),
        body: b"[]".to_vec(),
    };
    connections.exchange(lane, outgoing, limit).await
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.unwrap();
}

#[test]
fn a_reset_under_a_request_is_reported_and_the_request_not_sent_again() {
    run(async {
        let (connections, faults) = venue(vec![Turn::Reset]).await;
        connections.keep_warm().await;
        assert!(matches!(
            ask(&connections, Lane::Places).await.0,
            Err(Lost::Unknown(_))
        ));
        until(|| !faults.borrow().is_empty()).await;
        assert!(matches!(faults.borrow()[0], (0, Cause::Transport(_))));
        assert_eq!(
            ask(&connections, Lane::Places).await.0.unwrap().status,
            StatusCode::OK
        );
    });
}

/// The first probes are answered: the way is known. Turns are taken from the end.
fn known_way() -> Vec<Turn> {
    vec![Turn::Say(OK.to_vec()); 4]
}

#[test]
fn silence_is_found_by_probes_and_the_standbys_go_on() {
    run(async {
        let turns = [vec![Turn::Silence], known_way()].concat();
        // Only what overtakes it can prove it broken.
        let (connections, faults, _) = patient_venue(turns, FOR_EVER).await;
        connections.keep_warm().await;
        keep_probing(&connections);
        until(|| !faults.borrow().is_empty()).await;
        assert!(silence_of(&faults.borrow()[0]) >= FLOOR);
        connections.switch(1);
        for lane in [Lane::Cancels, Lane::Places] {
            assert_eq!(ask(&connections, lane).await.0.unwrap().status, StatusCode::OK);
        }
    });
}

fn silence_of((generation, cause): &(u64, Cause)) -> Duration {
    assert_eq!(*generation, 0);
    let Cause::Transport(reason) = cause else {
        panic!("{cause:?}");
    };
    let silent_ms = reason.strip_prefix("no answer to a probe for ").unwrap();
    Duration::from_millis(silent_ms.strip_suffix(" ms").unwrap().parse().unwrap())
}

#[test]
fn where_nothing_is_answered_the_venue_gets_longer() {
    run(async {
        let (connections, faults, deaf) = patient_venue(Vec::new(), PAUSE).await;
        connections.keep_warm().await;
        keep_probing(&connections);
        until(|| connections.is_way_open()).await;
        deaf.before.set(usize::MAX);
        until(|| !faults.borrow().is_empty()).await;
        assert!(silence_of(&faults.borrow()[0]) >= PAUSE);
        deaf.before.set(deaf.accepted.get());
        connections.switch(1);
        let answer = ask(&connections, Lane::Cancels).await.0;
        assert_eq!(
            answer.unwrap().status,
            StatusCode::OK,
            "none of the silent is used"
        );
    });
}

#[test]
fn where_all_old_connections_are_silent_new_ones_tell_and_take_over() {
    run(async {
        let (connections, faults, deaf) = patient_venue(Vec::new(), FOR_EVER).await;
        connections.keep_warm().await;
        keep_probing(&connections);
        until(|| connections.is_way_open()).await;
        deaf.before.set(deaf.accepted.get());
        until(|| !faults.borrow().is_empty()).await;
        assert!(silence_of(&faults.borrow()[0]) >= FLOOR);
        connections.switch(1);
        for lane in [Lane::Cancels, Lane::Places, Lane::Others] {
            assert_eq!(ask(&connections, lane).await.0.unwrap().status, StatusCode::OK);
        }
    });
}

#[test]
fn an_order_that_is_silent_while_probes_are_answered_is_reported_before_its_time_is_up() {
    run(async {
        let (connections, faults, deaf) = patient_venue(Vec::new(), FOR_EVER).await;
        connections.keep_warm().await;
        keep_probing(&connections);
        until(|| connections.is_way_open()).await;
        deaf.to_orders.set(true);
        let asking = Rc::clone(&connections);
        let waiting = spawn_local(async move { send(&asking, Lane::Places, FOR_EVER).await });
        until(|| !faults.borrow().is_empty()).await;
        assert_eq!(faults.borrow()[0], (0, Cause::Slow));
        connections.switch(1);
        assert!(matches!(waiting.await.unwrap().0, Err(Lost::Unknown(_))));
    });
}

#[test]
fn a_request_may_take_longer_than_the_slowest_of_its_like() {
    run(async {
        let (connections, _) = venue(Vec::new()).await;
        connections.keep_warm().await;
        let before = connections.slow_after(Lane::Places);
        assert_eq!(
            ask(&connections, Lane::Places).await.0.unwrap().status,
            StatusCode::OK
        );
        assert_eq!(
            connections.slow_after(Lane::Places),
            before,
            "a quick one teaches nothing"
        );
        let slow_ns = u64::try_from(before.as_nanos()).unwrap();
        connections.patience[Lane::Places as usize]
            .borrow_mut()
            .measure(slow_ns, clock::now_ns());
        connections
            .probes
            .borrow_mut()
            .answered(clock::now_ns(), clock::now_ns());
        assert!(connections.slow_after(Lane::Places) > Duration::from_millis(900));
        assert!(
            connections.slow_after(Lane::Cancels) < Duration::from_millis(500),
            "cancels are not like places"
        );
    });
}

#[test]
fn what_a_move_leaves_missing_is_opened_at_once() {
    run(async {
        let (connections, _) = venue(Vec::new()).await;
        let warming = Rc::clone(&connections);
        spawn_local(async move { warming.keep_warm().await });
        tokio::task::yield_now().await;
        connections.switch(1);
        assert_eq!(connections.missing().len(), 10, "a round under way is no excuse");
        connections.keep_warm().await;
        assert!(connections.missing().is_empty());
    });
}

#[test]
fn a_venue_that_pauses_is_no_broken_route_and_teaches_no_patience() {
    run(async {
        let (connections, faults, deaf) = patient_venue(Vec::new(), FOR_EVER).await;
        connections.keep_warm().await;
        keep_probing(&connections);
        until(|| connections.is_way_open()).await;
        deaf.is_away.set(true);
        until(|| !connections.is_way_open()).await;
        deaf.is_away.set(false);
        until(|| connections.is_way_open()).await;
        assert!(faults.borrow().is_empty());
        assert!(connections.probes.borrow().limit_ns() < 200_000_000);
    });
}

#[test]
fn a_request_under_way_on_a_route_that_is_left_is_unknown_at_once() {
    run(async {
        let (connections, _) = venue(vec![Turn::Silence]).await;
        connections.keep_warm().await;
        let asking = Rc::clone(&connections);
        let waiting = spawn_local(async move { ask(&asking, Lane::Places).await });
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        connections.switch(1);
        assert!(matches!(waiting.await.unwrap().0, Err(Lost::Unknown(_))));
    });
}

/// A proxy that opens its way when it is told to; what it is asked afterwards it keeps.
struct Gate {
    asked: Cell<usize>,
    is_open: Cell<bool>,
    seen: RefCell<Vec<u8>>,
}

async fn gated_venue() -> (Rc<Connections>, Rc<Gate>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let route = format!("http://{}", listener.local_addr().unwrap());
    let gate = Rc::new(Gate {
        asked: Cell::new(0),
        is_open: Cell::new(false),
        seen: RefCell::default(),
    });
    let keeper = Rc::clone(&gate);
    spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let gate = Rc::clone(&keeper);
            spawn_local(async move {
                let mut seen = [0; 4_096];
                let _ = stream.read(&mut seen).await;
                gate.asked.set(gate.asked.get() + 1);
                while !gate.is_open.get() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while let Ok(count @ 1..) = stream.read(&mut seen).await {
                    gate.seen.borrow_mut().extend_from_slice(&seen[..count]);
                    let _ = stream.write_all(OK).await;
                }
            });
        }
    });
    let routes = Routes::declared(&[route], Some("NL"), &Netrc::default());
    let routes = routes.unwrap_or_else(|fault| panic!("{fault}"));
    let trust = Trust::new(None).unwrap_or_else(|fault| panic!("{fault}"));
    let host = Host::of_url("http://venue.test", "http", &trust, &routes);
    let host = host.unwrap_or_else(|fault| panic!("{fault}"));
    let probing = Probing {
        interval: Duration::from_millis(50),
        floor: FLOOR,
        pause: PAUSE,
    };
    (Rc::new(Connections::new(host, probing)), gate)
}

#[test]
fn a_place_that_waited_for_a_connection_is_not_sent_over_a_route_that_was_left_meanwhile() {
    run(async {
        let (connections, gate) = gated_venue().await;
        let asking = Rc::clone(&connections);
        let waiting = spawn_local(async move { send(&asking, Lane::Places, FOR_EVER).await });
        until(|| gate.asked.get() > 0).await;
        connections.switch(1);
        gate.is_open.set(true);
        let answer = waiting.await.unwrap().0;
        assert_eq!(answer.unwrap_err(), Lost::Unsent("the route was left".to_owned()));
        assert!(gate.seen.borrow().is_empty());
        assert!(send(&connections, Lane::Places, FOR_EVER).await.0.is_ok());
    });
}

#[test]
fn a_place_does_not_wait_for_long_for_a_connection_and_a_cancel_does() {
    run(async {
        let (connections, gate) = gated_venue().await;
        let asking = Rc::clone(&connections);
        let cancel = spawn_local(async move { send(&asking, Lane::Cancels, FOR_EVER).await });
        let placed = send(&connections, Lane::Places, FOR_EVER).await.0;
        assert!(matches!(placed, Err(Lost::Unsent(_))));
        gate.is_open.set(true);
        assert!(cancel.await.unwrap().0.is_ok());
    });
}

#[test]
fn an_orderly_end_of_an_idle_connection_is_no_fault() {
    run(async {
        let (connections, faults) = venue(vec![Turn::Close]).await;
        let outgoing = ask(&connections, Lane::Others).await;
        assert!(outgoing.0.is_err());
        connections.keep_warm().await;
        assert!(ask(&connections, Lane::Cancels).await.0.is_ok());
        assert!(faults.borrow().is_empty());
    });
}

fn turn() -> impl Strategy<Value = Turn> {
    let head = prop_oneof![
        Just("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"),
        Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"),
        Just("HTTP/1.1 99999 ?\r\n\r\n"),
        Just("HTTP/1.1 503 X\r\nContent-Length: 99999999999\r\n\r\n"),
        Just(""),
    ];
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    let bytes = (head, noise).prop_map(|(head, noise)| [head.as_bytes(), &noise].concat());
    prop_oneof![
        bytes.clone().prop_map(Turn::Slowly),
        bytes.prop_map(|bytes| Turn::Slowly(bytes.repeat(50))),
        Just(Turn::Reset),
        Just(Turn::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_on_a_real_socket_panics(turns in prop::collection::vec(turn(), 1..6)) {
        run(async move {
            let count = turns.len();
            let (connections, _) = venue(turns).await;
            for lane in [Lane::Places, Lane::Cancels, Lane::Others].into_iter().cycle().take(count) {
                let _ = ask(&connections, lane).await;
            }
            connections.switch(1);
            assert_eq!(ask(&connections, Lane::Cancels).await.0.unwrap().status, StatusCode::OK);
        });
    }
}

#[test]
fn spares_are_opened_a_few_at_a_time() {
    run(async {
        let (connections, _) = venue(Vec::new()).await;
        let idle = |lane| connections.lane(lane).borrow().len();
        connections.keep_spare(5);
        for expected in [2, 4, 6, 7, 7] {
            connections.keep_warm().await;
            assert_eq!((idle(Lane::Cancels), idle(Lane::Places)), (expected, expected));
        }
    });
}
