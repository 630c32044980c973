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
use crate::socket::{Host, Trust};

const FLOOR: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(400);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// What a venue does with each request of its connections, by turns.
#[derive(Debug, Clone)]
enum Turn {
    Say(Vec<u8>),
    Slowly(Vec<u8>),
    Silence,
    Late(Duration),
    Reset,
    Close,
}

async fn serve(mut stream: TcpStream, turns: Rc<RefCell<Vec<Turn>>>) {
    let mut seen = [0; 4_096];
    while stream.read(&mut seen).await.is_ok_and(|count| count > 0) {
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
            Turn::Late(pause) => {
                tokio::time::sleep(pause).await;
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
            Turn::Reset => {
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                return;
            }
            Turn::Close => return,
        }
    }
}

async fn venue(turns: Vec<Turn>) -> (Rc<Connections>, Rc<RefCell<Vec<(u64, Cause)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let turns = Rc::new(RefCell::new(turns));
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(serve(stream, Rc::clone(&turns)));
        }
    });
    let trust = Trust::new(None).unwrap_or_else(|fault| panic!("{fault}"));
    let host = Host::of_url(&url, "http", &trust).unwrap_or_else(|fault| panic!("{fault}"));
    let probing = Probing {
        interval: Duration::from_millis(50),
        floor: FLOOR,
        pause: PAUSE,
    };
    let connections = Rc::new(Connections::new(host, probing));
    let faults = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&faults);
    connections.report_to(move |generation, cause| seen.borrow_mut().push((generation, cause)));
    (connections, faults)
}

async fn ask(connections: &Connections, lane: Lane) -> Exchange {
    let outgoing = Outgoing {
        method: Method::POST,
        target: "/order".to_owned(),
        headers: HeaderMap::new(),
        body: b"[]".to_vec(),
    };
    connections
        .exchange(lane, outgoing, Duration::from_millis(300))
        .await
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

/// The first probe of each lane is answered: the way is known. Turns are taken from the end.
fn known_way() -> Vec<Turn> {
    vec![Turn::Say(OK.to_vec()); Lane::ORDER_ENTRY.len()]
}

/// The silence of these turns, found by probes as the work loop sends them.
fn silence(turns: Vec<Turn>) -> Duration {
    let found = Rc::new(Cell::new(Duration::ZERO));
    let silent = Rc::clone(&found);
    run(async move {
        let (connections, faults) = venue([turns, known_way()].concat()).await;
        connections.keep_warm().await;
        let began_ns = clock::now_ns();
        let probing = Rc::clone(&connections);
        spawn_local(async move {
            loop {
                probing.probe();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        until(|| !faults.borrow().is_empty()).await;
        silent.set(Duration::from_nanos(clock::now_ns() - began_ns));
        let (generation, cause) = faults.borrow()[0].clone();
        assert_eq!(generation, 0);
        assert!(matches!(cause, Cause::Transport(reason) if reason.starts_with("no answer to a probe")));
        connections.switch(1);
        assert_eq!(
            ask(&connections, Lane::Cancels).await.0.unwrap().status,
            StatusCode::OK
        );
    });
    found.get()
}

#[test]
fn silence_is_found_by_probes_and_the_standbys_go_on() {
    assert!(silence(vec![Turn::Silence]) >= FLOOR);
}

#[test]
fn where_nothing_is_answered_the_venue_gets_longer() {
    assert!(silence(vec![Turn::Silence; 3]) >= PAUSE);
}

#[test]
fn a_venue_that_pauses_is_no_broken_route_and_teaches_no_patience() {
    run(async {
        let pause = 2 * FLOOR;
        let (connections, faults) = venue([vec![Turn::Late(pause); 3], known_way()].concat()).await;
        connections.keep_warm().await;
        let began_ns = clock::now_ns();
        while connections.answered.get().0 < began_ns + 2 * u64::try_from(pause.as_nanos()).unwrap() {
            connections.probe();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(faults.borrow().is_empty());
        assert!(connections.patience.borrow().limit_ns() < 200_000_000);
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
