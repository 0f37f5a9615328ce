use super::*;

const GET: &str = "GET /x HTTP/1.1\r\nhost: x\r\n\r\n";
const POST: &str = "POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n";
const CHUNKED: &str = "POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
const SOCKET: &str = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const H2C: &str = "GET /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";

/// The gate's output, read through a buffer of so many bytes.
fn fed(gate: &mut Gate, bytes: &str, room: usize) -> String {
    let (mut passed, mut space) = (Vec::new(), vec![0; room]);
    let mut to = ReadBuf::new(&mut space);
    gate.feed(bytes.as_bytes(), &mut to);
    passed.extend_from_slice(to.filled());
    passed.extend_from_slice(drained(gate, room).as_bytes());
    String::from_utf8(passed).unwrap()
}

fn drained(gate: &mut Gate, room: usize) -> String {
    let (mut passed, mut space) = (Vec::new(), vec![0; room.max(1)]);
    loop {
        let mut to = ReadBuf::new(&mut space);
        if !gate.drain(&mut to) {
            return String::from_utf8(passed).unwrap();
        }
        passed.extend_from_slice(to.filled());
    }
}

/// The gate's output if each request is answered at once.
fn one_by_one(gate: &mut Gate, bytes: &[u8], room: usize) -> String {
    let mut passed = fed(gate, str::from_utf8(bytes).unwrap(), room);
    while gate.heads > gate.answered && matches!(gate.state, FramingState::Head) {
        gate.answered();
        passed += &drained(gate, room);
    }
    passed
}

#[test]
fn a_request_passes_when_the_one_before_it_is_answered() {
    let mut gate = Gate::new(0);
    assert_eq!(fed(&mut gate, &[GET, POST, "hello", GET, "GET /"].concat(), 1000), GET);
    assert!(gate.is_held(Waker::noop()), "nothing more is to be read");
    assert!(!gate.is_in_a_later_head(), "the client is not waited for");
    gate.answered();
    assert_eq!(drained(&mut gate, 1000), [POST, "hello"].concat());
    assert!(gate.is_held(Waker::noop()));
    gate.answered();
    assert_eq!(drained(&mut gate, 1000), GET);
    gate.answered();
    assert_eq!(drained(&mut gate, 1000), "");
    assert!(!gate.is_held(Waker::noop()) && gate.is_in_a_later_head(), "the rest of the head is waited for");
    // Nor bytes that are no request, before their turn.
    assert_eq!(
        fed(&mut gate, &["x HTTP/1.1\r\nhost: x\r\n\r\n", "\0"].concat(), 1000),
        "GET /x HTTP/1.1\r\nhost: x\r\n\r\n"
    );
    gate.answered();
    assert_eq!(drained(&mut gate, 1000), "\0");
}

#[test]
fn empty_lines_between_requests_are_none() {
    let mut gate = Gate::new(0);
    assert_eq!(one_by_one(&mut gate, format!("\r\n{GET}\r\n\n\r").as_bytes(), 1000), GET);
    assert!(!gate.is_in_a_later_head() && !gate.is_held(Waker::noop()));
    assert_eq!(fed(&mut gate, "\n", 1000), "");
    assert!(!gate.is_in_a_later_head() && gate.held.is_empty());
    assert_eq!(fed(&mut gate, GET, 1000), GET);
    assert_eq!(fed(&mut gate, "\r\n", 1000), "");
    assert!(!gate.is_held(Waker::noop()));
}

#[test]
fn a_head_that_is_too_long_never_passes() {
    for lines in [format!("{}: b\r\n\r\n", "a".repeat(70_000)), "a".repeat(70_000)] {
        for size in [1000, 1_000_000] {
            let mut gate = Gate::new(0);
            let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{lines}");
            let mut passed = String::new();
            for part in head.as_bytes().chunks(size) {
                if gate.mode() == Mode::Passes {
                    passed += &fed(&mut gate, str::from_utf8(part).unwrap(), 10);
                }
            }
            assert!(passed.len() < 1000 && passed.lines().count() > 97, "{passed:.99}");
            assert!(matches!(gate.mode(), Mode::Discards(_)));
        }
    }
    let mut gate = Gate::new(0);
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{}: b\r\n\r\n", "a".repeat(65_000));
    assert_eq!(fed(&mut gate, &head, 1000), head);
}

#[test]
fn requests_pass_as_they_are_however_they_are_cut() {
    let all = [GET, POST, "hello", CHUNKED, "5\r\nhello\r\n0\r\n\r\n", POST, "GET /", H2C, GET].concat();
    let expected = all.replace("connection: upgrade\r\nupgrade: h2c\r\n", "");
    for size in [1, 2, 3, 7, 50, 1000] {
        for room in [0, 1, 10, 1000] {
            let mut gate = Gate::new(0);
            let passed: String = all.as_bytes().chunks(size).map(|part| one_by_one(&mut gate, part, room)).collect();
            assert_eq!(passed, expected, "{size} {room}");
            assert_eq!((gate.mode(), gate.heads, gate.held.len()), (Mode::Passes, 6, 0));
        }
    }
}

#[test]
fn what_is_refused_passes_to_be_refused() {
    for bad in ["\x16\x03\x01 no HTTP", "GET / HTTP/1.1\r\na b: c\r\n\r\n", "GET /\0"] {
        let mut gate = Gate::new(0);
        assert_eq!(fed(&mut gate, bad, 1000), bad);
        assert_eq!(fed(&mut gate, H2C, 1000), H2C);
    }
}

#[test]
fn a_body_that_is_none_breaks_off() {
    let mut gate = Gate::new(0);
    assert_eq!(fed(&mut gate, &format!("{CHUNKED}5\r\nhello\r\n"), 1000), format!("{CHUNKED}5\r\nhello\r\n"));
    assert_eq!(fed(&mut gate, "x\r\nGET / HTTP/1.1\r\n\r\n", 1000), "");
    assert_eq!(gate.mode(), Mode::Over);
}

#[test]
fn a_refused_socket_ends_its_body_and_the_next_request_follows() {
    let mut gate = Gate::new(0);
    let passed = fed(&mut gate, &format!("{SOCKET}{GET}"), 1000);
    assert!(passed.ends_with("upgrade: websocket\r\ntransfer-encoding: chunked\r\n\r\n"), "{passed}");
    assert!(!passed.contains("connection"), "{passed}");
    assert_eq!(gate.mode(), Mode::Waits);
    let number = gate.begin();
    assert!(gate.asks_for_socket(number) && !gate.asks_for_socket(number + 1));
    gate.refuse_socket();
    assert_eq!(drained(&mut gate, 7), "0\r\n\r\n");
    gate.answered();
    assert_eq!(drained(&mut gate, 7), GET);
    assert_eq!(gate.mode(), Mode::Passes);
}

#[test]
fn a_taken_socket_keeps_what_came_with_its_handshake_from_the_framework() {
    let mut gate = Gate::new(0);
    fed(&mut gate, &format!("{SOCKET}frames"), 1000);
    gate.accept_socket(Box::new(|stream| Box::pin(async { stream })));
    assert!(gate.taken_socket().is_none(), "the answer may still be another");
    gate.take_socket();
    assert_eq!(gate.mode(), Mode::Over);
    gate.answered();
    assert_eq!(drained(&mut gate, 1000), "");
    let (_, early) = gate.taken_socket().unwrap();
    assert_eq!(early, b"frames");
}

#[test]
fn a_refused_socket_is_never_run() {
    let mut gate = Gate::new(0);
    fed(&mut gate, &[SOCKET, SOCKET].concat(), 1000);
    gate.accept_socket(Box::new(|stream| Box::pin(async { stream })));
    gate.refuse_socket();
    gate.answered();
    gate.take_socket();
    assert!(gate.taken_socket().is_none());
}

#[test]
fn what_nobody_reads_is_thrown_away_within_bounds() {
    // Of one that says how long it is, all.
    let mut gate = Gate::new(5);
    fed(&mut gate, &format!("{POST}he"), 1000);
    let number = gate.begin();
    assert!(gate.abandon(number));
    assert_eq!(gate.mode(), Mode::Discards(3));
    gate.discard(b"llo");
    assert_eq!(gate.mode(), Mode::Over);
    // Of one that is longer than any, or says nothing, not much.
    for head in [POST, CHUNKED, "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut gate = Gate::new(4);
        fed(&mut gate, head, 1000);
        let number = gate.begin();
        assert!(gate.abandon(number));
        assert_eq!(gate.mode(), Mode::Discards(DISCARDED), "{head}");
    }
    // Chunks may end before.
    let mut gate = Gate::new(0);
    fed(&mut gate, CHUNKED, 1000);
    gate.abandon(1);
    gate.discard(b"5\r\nhel");
    assert_eq!(gate.mode(), Mode::Discards(DISCARDED - 6));
    gate.discard(b"lo\r\n0\r\n\r\n");
    assert_eq!(gate.mode(), Mode::Over);
}

#[test]
fn who_is_answered_leaves_alone_what_others_sent() {
    let mut gate = Gate::new(0);
    fed(&mut gate, &format!("{CHUNKED}0\r\n\r\n{POST}he"), 1000);
    let first = gate.begin();
    assert!(!gate.abandon(first), "the body of the first is whole");
    assert_eq!(gate.mode(), Mode::Passes);
    gate.answered();
    assert_eq!(drained(&mut gate, 1000), [POST, "he"].concat());
    let second = gate.begin();
    assert!(gate.abandon(second));
    let mut gate = Gate::new(0);
    fed(&mut gate, GET, 1000);
    let only = gate.begin();
    assert!(!gate.abandon(only));
}

#[test]
fn a_head_that_is_not_whole_is_told() {
    let mut gate = Gate::new(0);
    fed(&mut gate, "GET /", 1000);
    assert!(!gate.is_in_a_later_head(), "the first has its own deadline");
    fed(&mut gate, "x HTTP/1.1\r\nhost: x\r\n\r\n", 1000);
    assert!(!gate.is_in_a_later_head(), "nothing has begun");
    fed(&mut gate, "G", 1000);
    assert!(!gate.is_in_a_later_head(), "it is not its turn");
    gate.answered();
    assert!(gate.is_in_a_later_head());
}
