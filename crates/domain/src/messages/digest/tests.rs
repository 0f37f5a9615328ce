use super::*;
use crate::error::Error;
use crate::testing::{caller, conversation, message_id, outcome, user};
use mockall::predicate::eq;
use proptest::prelude::*;

fn hex(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    }
    bytes
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

/// The sum as one learns it at school: byte by byte, with a carry.
fn school_sum(one: Digest, other: Digest) -> Digest {
    let (one, other, mut sum, mut carry) = (one.to_bytes(), other.to_bytes(), [0; 32], 0);
    for place in (0..32).rev() {
        let total = u16::from(one[place]) + u16::from(other[place]) + carry;
        sum[place] = (total & 0xff) as u8;
        carry = total >> 8;
    }
    Digest::from_bytes(sum)
}

proptest! {
    #[test]
    fn sums_are_modulo_2_to_the_256(one in digest(), other in digest(), third in digest()) {
        prop_assert_eq!(one.plus(other), school_sum(one, other));
        prop_assert_eq!(one.plus(other), other.plus(one));
        prop_assert_eq!(one.plus(other).plus(third), one.plus(other.plus(third)));
        prop_assert_eq!(one.plus(other).minus(other), one);
        prop_assert_eq!(one.minus(other).plus(other), one);
        prop_assert_eq!(one.minus(one), Digest::ZERO);
    }

    #[test]
    fn bytes_and_digits_are_the_number(bytes in any::<[u8; 32]>()) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest.to_bytes(), bytes);
        prop_assert_eq!(hex(&digest.to_string()), bytes);
        let short = digest.short();
        prop_assert_eq!(short.to_string(), &digest.to_string()[..16]);
        prop_assert_eq!(ShortDigest::parse(&short.to_string()), Ok(short));
    }

    #[test]
    fn any_difference_of_a_message_is_a_difference_of_its_hash(
        id in 0..3_u128, seq in 1..4_i64, update in 1..4_i64, content in prop::option::of("[ab]{0,2}"),
        other in (0..3_u128, 1..4_i64, 1..4_i64, prop::option::of("[ab]{0,2}")),
    ) {
        let hash = |(id, seq, update, content): &(u128, i64, i64, Option<String>)| {
            Digest::of_message(message_id(*id), Seq(*seq), Update(*update), content.as_deref())
        };
        let one = (id, seq, update, content);
        prop_assert_eq!(hash(&one) == hash(&other), one == other);
    }
}

/// Computed by `hashlib` of Python from the sentence in `docs/api.md`.
#[test]
fn others_compute_the_same() {
    let id = MessageId(uuid::Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057));
    let sent = Digest::of_message(id, Seq(1), Update(1), Some("héllo 🙂"));
    assert_eq!(sent.to_string(), "91b97ca65e89b663b0f157323e197e50e86c411b676eb8649f8591b64a67b18e");
    let deleted = Digest::of_message(id, Seq(1), Update(3), None);
    assert_eq!(deleted.to_string(), "73679143c2a28ba265d82d1548d9dc376d8e4bf7bf68401fc512eefad33d4737");
    assert_eq!(sent.plus(deleted).to_string(), "05210dea212c420616c9844786f35a8855fa8d1326d6f884649880b11da4f8c5");
    assert_eq!(Digest::ZERO.to_string(), "0".repeat(64));
}

#[test]
fn a_short_digest_has_16_digits_in_lower_case() {
    for bad in [
        "",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789ABCDEF",
        "+123456789abcdef",
        "0123456789abcdeg",
        "é23456789abcdef",
    ] {
        assert_eq!(ShortDigest::parse(bad).unwrap_err().field, "digest", "{bad}");
    }
}

#[test]
fn a_range_lies_within_the_conversation() {
    let within = |from, to, update| DigestRange::parse(from, to).and_then(|range| range.within(Update(update)));
    let span = |from, to, is_whole| Ok(DigestSpan { from: Seq(from), to: Seq(to), is_whole });
    assert_eq!(within(None, None, 0), span(1, 0, true));
    assert_eq!(within(None, Some(0), 0), span(1, 0, true));
    assert_eq!(within(None, None, 9), span(1, 9, true));
    assert_eq!(within(Some(1), Some(u64::from(u32::MAX)), 9), span(1, 9, true));
    assert_eq!(within(Some(2), None, 9), span(2, 9, false));
    assert_eq!(within(Some(3), Some(3), 9), span(3, 3, false));
    assert_eq!(within(None, None, 300_000), span(1, 300_000, true));
    assert_eq!(within(Some(1), Some(100_000), 300_000), span(1, 100_000, false));
    for (from, to, update, field) in [
        (Some(1), Some(100_001), 300_000, "to"),
        (Some(100_001), None, 300_000, "to"),
        (Some(4), Some(3), 9, "from"),
        (Some(1), Some(0), 9, "from"),
        (Some(10), None, 9, "from"),
        (Some(10), Some(12), 9, "from"),
        (Some(2), None, 0, "from"),
        (Some(u64::MAX), None, 9, "from"),
        (None, Some(u64::MAX), 9, "to"),
    ] {
        assert_eq!(within(from, to, update).unwrap_err().field, field, "{from:?} {to:?} {update}");
    }
}

fn point(update: i64, digest: &str) -> SyncPoint {
    SyncPoint { update: Update(update), digest: ShortDigest::parse(digest).unwrap() }
}

#[test]
fn a_claim_is_compared_at_the_present_number_only() {
    let mut reader = MockDigestReader::new();
    let present = point(7, "0000000000000001");
    reader.expect_sync_point().with(eq(user(1)), eq(conversation(2))).returning(move |_, _| Ok(present));
    let digests = DigestService { digests: Arc::new(reader) };
    let verify = |claimed| outcome(digests.verify(&caller(1), conversation(2), claimed));
    assert_eq!(verify(present).unwrap(), Verified::Same);
    assert_eq!(verify(point(6, "000000000000000f")).unwrap(), Verified::Past(present));
    let differs = verify(point(7, "000000000000000f"));
    assert!(matches!(differs, Err(Error::Conflict(Conflict::DigestDiffers))), "{differs:?}");
    let ahead = verify(point(8, "0000000000000001"));
    assert!(matches!(&ahead, Err(Error::Invalid(invalid)) if invalid.field == "update"), "{ahead:?}");
}

#[test]
fn a_part_is_read_as_the_caller() {
    let range = DigestRange::parse(Some(2), None).unwrap();
    let span = range.within(Update(3)).unwrap();
    let found = RangeDigest { update: Update(3), span, messages: 2, digest: Digest::ZERO };
    let mut reader = MockDigestReader::new();
    reader
        .expect_range_digest()
        .once()
        .with(eq(user(1)), eq(conversation(2)), eq(range))
        .return_once(move |_, _, _| Ok(found));
    let digests = DigestService { digests: Arc::new(reader) };
    assert_eq!(outcome(digests.show(&caller(1), conversation(2), range)).unwrap(), found);
}
