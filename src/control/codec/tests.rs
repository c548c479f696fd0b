//! The codec against every chunking and against bytes that no tor would send.

use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    Limits { line_bytes: 256, reply_bytes: 4096, lines: 8 }
}

/// Feeds `chunks` one after the other and collects the frames, with the error that ended it.
fn decode_chunks<'a>(
    limits: Limits,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<CodecError>) {
    let mut codec = Codec::new(limits);
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.put_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    match codec.decode_eof(&mut buffer) {
        Ok(None) => (frames, None),
        Ok(Some(frame)) => panic!("{frame:?} was held back until the end"),
        Err(error) => (frames, Some(error)),
    }
}

fn decode(input: &str) -> (Vec<Frame>, Option<CodecError>) {
    decode_chunks(limits(), [input.as_bytes()])
}

fn line(text: &str) -> Line {
    Line { text: text.to_owned(), data: None }
}

fn data(text: &str, data: &'static str) -> Line {
    Line { text: text.to_owned(), data: Some(Bytes::from(data)) }
}

/// A reply with an event between its lines, which itself has a data block that looks like lines.
const INTERLEAVED: &str = "250-a=1\r\n\
    250+b=\r\n..x\r\n650 CIRC in the data\r\n\r\n.\r\n\
    650+HS_DESC_CONTENT q\r\n250 OK\r\n...\r\n.\r\n\
    650 OK\r\n\
    650 CIRC 1\r\n\
    250 OK\r\n";

fn interleaved() -> Vec<Frame> {
    let content = vec![data("HS_DESC_CONTENT q", "250 OK\n..\n"), line("OK")];
    let reply = vec![line("a=1"), data("b=", ".x\n650 CIRC in the data\n\n"), line("OK")];
    vec![
        Frame::Event(Message { status: 650, lines: content }),
        Frame::Event(Message { status: 650, lines: vec![line("CIRC 1")] }),
        Frame::Reply(Message { status: 250, lines: reply }),
    ]
}

#[test]
fn events_inside_a_reply_come_out_whole_and_leave_the_reply_whole() {
    let (frames, error) = decode(INTERLEAVED);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(frames, interleaved());
}

#[test]
fn a_split_at_any_byte_changes_nothing() {
    for at in 0..=INTERLEAVED.len() {
        let (head, tail) = INTERLEAVED.as_bytes().split_at(at);
        let (frames, error) = decode_chunks(limits(), [head, tail]);
        assert!(error.is_none(), "split at {at}: {error:?}");
        assert_eq!(frames, interleaved(), "split at {at}");
    }
    let (frames, error) = decode_chunks(limits(), INTERLEAVED.as_bytes().chunks(1));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(frames, interleaved());
}

#[test]
fn a_stream_that_ends_inside_a_message_says_so() {
    for cut in [
        "2",
        "250",
        "250 OK",
        "250 OK\r",
        "250-a\r\n",
        "250+a\r\nx\r\n",
        "250+a\r\n.\r\n",
        "650-CIRC\r\n",
    ] {
        let (frames, error) = decode(cut);
        assert_eq!(frames, [], "{cut:?}");
        assert!(matches!(error, Some(CodecError::ClosedMidReply)), "{cut:?}: {error:?}");
    }
    assert!(matches!(decode("250 OK\r\n"), (frames, None) if frames.len() == 1));
}

#[test]
fn lines_that_are_not_replies_are_refused() {
    for garbled in ["\r\n", "25\r\n", "250\r\n", "250/OK\r\n", "2x0 OK\r\n", "HTTP/1.1 400\r\n"] {
        let (frames, error) = decode(garbled);
        assert_eq!(frames, []);
        assert!(matches!(error, Some(CodecError::Garbled { .. })), "{garbled:?}: {error:?}");
    }
    let (_, error) = decode("250-a\r\n251 b\r\n");
    assert!(matches!(error, Some(CodecError::StatusChanged { first: 250, then: 251 })));
    let (_, error) = decode("250-a\r\n510 Unrecognized\r\n");
    assert!(matches!(error, Some(CodecError::StatusChanged { first: 250, then: 510 })));
}

#[test]
fn every_limit_holds_at_its_edge() {
    let fits = format!("250 {}\r\n", "x".repeat(256 - 6));
    assert!(decode(&fits).1.is_none());
    let (_, error) = decode(&format!("250 {}\r\n", "x".repeat(256 - 5)));
    assert!(matches!(error, Some(CodecError::LineTooLong { limit: 256 })), "{error:?}");
    let (_, error) = decode(&"x".repeat(257));
    assert!(matches!(error, Some(CodecError::LineTooLong { limit: 256 })), "{error:?}");

    let full = format!("250+\r\n{}.\r\n", format!("{}\r\n", "y".repeat(127)).repeat(32));
    assert!(decode(&format!("{full}250 \r\n")).1.is_none());
    let (_, error) = decode(&format!("{full}250 z\r\n"));
    assert!(matches!(error, Some(CodecError::ReplyTooLarge { limit: 4096 })), "{error:?}");

    assert!(decode(&format!("{}250 b\r\n", "250-a\r\n".repeat(7))).1.is_none());
    let (_, error) = decode(&"250-a\r\n".repeat(9));
    assert!(matches!(error, Some(CodecError::TooManyLines { limit: 8 })), "{error:?}");
}

#[test]
fn ten_megabytes_in_small_reads_end_in_one_buffer_of_that_size() {
    let block = b"onion-key\r\nntor-onion-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
    let count = 10_000_000 / block.len();
    let mut codec = Codec::new(Limits::default());
    let mut buffer = BytesMut::with_capacity(4096);
    let mut largest = 0;
    let mut frames = Vec::new();
    buffer.put_slice(b"250+md/all=\r\n");
    for _ in 0..count {
        for chunk in block.chunks(13) {
            buffer.put_slice(chunk);
            frames.extend(codec.decode(&mut buffer).unwrap());
            largest = largest.max(buffer.capacity());
        }
    }
    buffer.put_slice(b".\r\n250 OK\r\n");
    frames.extend(codec.decode(&mut buffer).unwrap());
    let [Frame::Reply(reply)] = frames.as_slice() else { panic!("one reply") };
    let value = reply.lines[0].data.as_ref().expect("the data block");
    assert_eq!(value.len(), count * (block.len() - 2));
    assert!(largest <= 8192, "the read buffer grew to {largest} bytes");
}

#[test]
fn what_was_searched_for_an_end_of_line_is_not_searched_again() {
    let mut codec = Codec::new(Limits::default());
    let mut buffer = BytesMut::from("250 begun");
    for _ in 0..3 {
        assert_eq!(codec.decode(&mut buffer).unwrap(), None);
        assert_eq!(codec.scanned, buffer.len());
        buffer.put_slice(b" and not ended");
    }
}

#[test]
fn a_command_that_is_refused_leaves_nothing_behind() {
    let mut codec = Codec::new(limits());
    let mut buffer = BytesMut::from("before");
    let command = Command::GetInfo("a\r\nSIGNAL HALT".into());
    assert!(codec.encode(&command, &mut buffer).is_err());
    assert_eq!(buffer, "before");
    codec.encode(&Command::GetInfo("version".into()), &mut buffer).unwrap();
    assert_eq!(buffer, "beforeGETINFO version\r\n");
}

#[test]
fn a_document_is_stuffed_and_closed() {
    let mut buffer = BytesMut::new();
    put_data(&mut buffer, b".\n..a\nb\r\n\n.c");
    assert_eq!(buffer, "..\r\n...a\r\nb\r\n\r\n..c\r\n.\r\n");
    let mut empty = BytesMut::new();
    put_data(&mut empty, b"");
    assert_eq!(empty, ".\r\n");
}

/// Lines as a document has them, dots and CRs included, each ended by LF.
fn document() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        prop::collection::vec(prop::sample::select(b".\r a".to_vec()), 0..6),
        prop::collection::vec(any::<u8>().prop_filter("one line", |b| *b != b'\n'), 0..20),
    ];
    let line = line.prop_filter("a CR before LF is its end", |line| line.last() != Some(&b'\r'));
    prop::collection::vec(line, 0..12).prop_map(|lines| {
        lines.into_iter().flat_map(|line| line.into_iter().chain([b'\n'])).collect()
    })
}

proptest! {
    #[test]
    fn data_reads_back_as_it_was_written_under_any_chunking(
        document in document(),
        event in document(),
        cuts in prop::collection::vec(1usize..40, 1..40),
    ) {
        let mut wire = BytesMut::from("250+x=\r\n");
        put_data(&mut wire, &document);
        wire.put_slice(b"650+HS_DESC_CONTENT\r\n");
        put_data(&mut wire, &event);
        wire.put_slice(b"650 OK\r\n250 OK\r\n");
        let mut rest: &[u8] = &wire;
        let mut cuts = cuts.into_iter().cycle();
        let chunks = std::iter::from_fn(|| {
            let (chunk, tail) = rest.split_at(rest.len().min(cuts.next()?));
            rest = tail;
            (!chunk.is_empty()).then_some(chunk)
        });
        let (frames, error) = decode_chunks(limits(), chunks);
        prop_assert!(error.is_none(), "{:?}", error);
        let blocks: Vec<&[u8]> = frames
            .iter()
            .map(|frame| match frame {
                Frame::Reply(message) | Frame::Event(message) => message,
            })
            .map(|message| message.lines[0].data.as_deref().expect("a data block"))
            .collect();
        prop_assert_eq!(blocks, [event.as_slice(), document.as_slice()]);
    }

    #[test]
    fn no_bytes_make_it_panic_and_the_chunking_never_shows(
        bytes in prop::collection::vec(
            prop_oneof![
                4 => prop::sample::select(b"2506 -+.\r\n".to_vec()),
                1 => any::<u8>(),
            ],
            0..200,
        ),
        size in 1usize..50,
    ) {
        let (whole, first) = decode_chunks(limits(), [bytes.as_slice()]);
        let (pieces, second) = decode_chunks(limits(), bytes.chunks(size));
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(first.map(|e| e.to_string()), second.map(|e| e.to_string()));
    }
}
