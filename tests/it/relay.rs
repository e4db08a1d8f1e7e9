//! Real processes whose packets go through relays of ours, which delay, drop, double, reorder, corrupt
//! and cut one way, while nodes are killed. The kernel's own emulation is not there on every machine.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use node::cli::{Method, Request};
use serde_json::json;

use crate::numbers::Numbers;
use crate::process::{Process, Processes};

/// How long the socket of a relay waits before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(5);
const PACKET_MAX: usize = 2_048;

/// What a relay does to packets, in percent.
#[derive(Debug, Clone, Copy)]
struct Weather {
    lost: u64,
    doubled: u64,
    corrupted: u64,
    /// Held back for up to 30 ms, so that others pass it.
    delayed: u64,
}

const FAIR: Weather = Weather { lost: 0, doubled: 0, corrupted: 0, delayed: 0 };
const STORM: Weather = Weather { lost: 10, doubled: 5, corrupted: 3, delayed: 20 };

/// What the relay of one node is told, and what it did.
#[derive(Debug)]
struct Orders {
    weather: Mutex<Weather>,
    /// Nothing gets through to the node, or from it by this relay.
    deaf: AtomicBool,
    mute: AtomicBool,
    harmed: AtomicU64,
    over: AtomicBool,
}

/// Stands before one node: its peers know the relay's address and no other.
struct Relay {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    fn start(outside: UdpSocket, node: SocketAddr, seed: u64) -> Self {
        let orders = Arc::new(Orders {
            weather: Mutex::new(FAIR),
            deaf: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            harmed: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let told = Arc::clone(&orders);
        let thread = std::thread::spawn(move || Post::new(outside, node, seed, told).carry());
        Self { orders, thread: Some(thread) }
    }

    fn turn(&self, weather: Weather) {
        *self.orders.weather.lock().unwrap() = weather;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.orders.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A packet that is held back: when it goes on, to whom, by which socket.
type Held = (Instant, SocketAddr, bool, Vec<u8>);

/// The relay at work. Each caller gets a socket of its own, as behind a router.
struct Post {
    outside: UdpSocket,
    node: SocketAddr,
    callers: BTreeMap<SocketAddr, UdpSocket>,
    held: Vec<Held>,
    random: Numbers,
    orders: Arc<Orders>,
}

impl Post {
    fn new(outside: UdpSocket, node: SocketAddr, seed: u64, orders: Arc<Orders>) -> Self {
        outside.set_read_timeout(Some(PATIENCE)).unwrap();
        let random = Numbers::new(seed);
        Self { outside, node, callers: BTreeMap::new(), held: Vec::new(), random, orders }
    }

    fn carry(mut self) {
        let mut buffer = [0; PACKET_MAX];
        while !self.orders.over.load(Ordering::Relaxed) {
            if let Ok((length, caller)) = self.outside.recv_from(&mut buffer) {
                self.caller(caller);
                if !self.orders.deaf.load(Ordering::Relaxed) {
                    self.handle(caller, true, buffer[..length].to_vec());
                }
            }
            let mut answers = Vec::new();
            for (caller, socket) in &self.callers {
                while let Ok(length) = socket.recv(&mut buffer) {
                    answers.push((*caller, buffer[..length].to_vec()));
                }
            }
            for (caller, packet) in answers {
                if !self.orders.mute.load(Ordering::Relaxed) {
                    self.handle(caller, false, packet);
                }
            }
            self.release();
        }
    }

    fn caller(&mut self, caller: SocketAddr) {
        let node = self.node;
        self.callers.entry(caller).or_insert_with(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(node).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        });
    }

    /// Lets the weather have its way with a packet.
    fn handle(&mut self, caller: SocketAddr, inwards: bool, mut packet: Vec<u8>) {
        let weather = *self.orders.weather.lock().unwrap();
        let mut strikes = |percent: u64| self.random.below(100) < percent;
        let (lost, doubled) = (strikes(weather.lost), strikes(weather.doubled));
        let (corrupted, delayed) = (strikes(weather.corrupted), strikes(weather.delayed));
        let harmed = u64::from(lost || doubled || corrupted || delayed);
        self.orders.harmed.fetch_add(harmed, Ordering::Relaxed);
        if lost {
            return;
        }
        if corrupted && !packet.is_empty() {
            let at = self.random.index(packet.len());
            packet[at] ^= 1 << self.random.below(8);
        }
        let wait = if delayed { self.random.below(30) } else { 0 };
        let due = Instant::now() + Duration::from_millis(wait);
        if doubled {
            self.held.push((due + Duration::from_millis(3), caller, inwards, packet.clone()));
        }
        self.held.push((due, caller, inwards, packet));
    }

    fn release(&mut self) {
        let now = Instant::now();
        let (due, held) = std::mem::take(&mut self.held).into_iter().partition(|it| it.0 <= now);
        self.held = held;
        let due: Vec<Held> = due;
        for (_, caller, inwards, packet) in due {
            // A node that is down answers with an error, which is what a lost packet is.
            let sent = match inwards {
                true => self.callers[&caller].send(&packet),
                false => self.outside.send_to(&packet, caller),
            };
            drop(sent);
        }
    }
}

fn create(node: &Process, number: usize) -> bool {
    let body = json!({"name": {"legal": format!("Customer {number} AG")}});
    node.client.ask(&Request::new(Method::POST, "/v1/customers").json(&body)).is_ok()
}

fn customers(node: &Process) -> u64 {
    let status = node.client.ask(&Request::get("/v1/status")).unwrap();
    status["records"].as_u64().unwrap()
}

#[test]
fn four_nodes_behind_bad_paths_agree_though_they_are_killed() {
    let regions = ["EMEA", "AMER", "APAC", "LATAM"];
    let outside: Vec<UdpSocket> =
        regions.iter().map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let advertised: Vec<SocketAddr> =
        outside.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let (mut network, listening) = Processes::set_up_behind(&regions, &advertised);
    let relays: Vec<Relay> = outside
        .into_iter()
        .zip(listening)
        .zip(1..)
        .map(|((outside, node), seed)| Relay::start(outside, node, seed))
        .collect();
    network.start();
    let mut random = Numbers::new(7);
    let mut acknowledged = 0;
    for round in 0..12 {
        relays.iter().for_each(|relay| relay.turn(STORM));
        // Some hear nothing, some are not heard.
        let (deaf, mute) = (random.index(4), random.index(4));
        relays[deaf].orders.deaf.store(true, Ordering::Relaxed);
        relays[mute].orders.mute.store(true, Ordering::Relaxed);
        for (at, node) in network.nodes.iter().enumerate() {
            acknowledged += u64::from(create(node, 100 * round + at));
        }
        let killed = random.index(4);
        network.nodes[killed].kill();
        sleep(Duration::from_millis(200));
        for relay in &relays {
            relay.orders.deaf.store(false, Ordering::Relaxed);
            relay.orders.mute.store(false, Ordering::Relaxed);
        }
        network.nodes[killed].start();
    }
    assert_eq!(acknowledged, 48, "a write was refused");
    // Still bad weather: it must do.
    network.converge();
    relays.iter().for_each(|relay| relay.turn(FAIR));
    for node in &network.nodes {
        assert_eq!(customers(node), acknowledged, "{}", node.log());
    }
    let harmed: u64 = relays.iter().map(|it| it.orders.harmed.load(Ordering::Relaxed)).sum();
    assert!(harmed > 200, "only {harmed} packets were harmed");
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
}
