//! Acknowledged parts, against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn of(parts: &[(u64, u64, &str)]) -> Stored {
    let mut stored = Stored::default();
    for (start, length, id) in parts {
        assert!(stored.insert(*start, *length, id));
    }
    stored
}

fn listed(stored: &Stored) -> Vec<(u64, u64, String)> {
    stored.iter().map(|part| (part.start, part.length, part.id.into_owned())).collect()
}

#[test]
fn they_stand_in_the_order_of_the_file_whenever_they_come() {
    let stored = of(&[(20, 5, "c"), (0, 10, "a"), (10, 10, "b")]);
    let json: Vec<_> = stored.json().map(|json| std::str::from_utf8(json).unwrap()).collect();
    assert_eq!(json.join(","), r#""a","b","c""#);
    assert_eq!((stored.count(), stored.bytes(), stored.end()), (3, 25, 25));
}

#[test]
fn what_overlaps_is_not_taken() {
    let mut stored = of(&[(10, 10, "a"), (30, 10, "b")]);
    for (start, length) in
        [(10, 10), (5, 6), (19, 1), (15, 20), (29, 2), (39, 1), (0, 100), (20, 0), (u64::MAX, 2)]
    {
        assert!(!stored.insert(start, length, "x"), "{start} and {length}");
    }
    assert!(stored.insert(0, 10, "x") && stored.insert(20, 10, "y") && stored.insert(40, 1, "z"));
    assert_eq!(stored.gaps(41), []);
}

#[test]
fn the_gaps_are_what_is_left_of_the_file() {
    assert_eq!(Stored::default().gaps(5), vec![Range { start: 0, end: 5 }]);
    let stored = of(&[(10, 10, "a"), (30, 10, "b")]);
    assert_eq!(stored.gaps(50), [0..10, 20..30, 40..50]);
    assert_eq!(stored.gaps(40), [0..10, 20..30]);
}

#[test]
fn what_was_copied_before_a_change_keeps_what_it_had() {
    let mut now = Stored::default();
    for part in 0..BLOCK as u64 + 2 {
        assert!(now.insert(part, 1, &format!("part_{part}")));
    }
    let before = now.clone();
    assert!(now.insert(1000, 1, "b"));
    assert_eq!(now.since(&before).unwrap().len(), 1);
    assert_eq!((before.count(), now.count()), (BLOCK + 2, BLOCK + 3));
    assert!(Arc::ptr_eq(&now.blocks[0], &before.blocks[0]));
    assert_eq!(now.blocks.iter().map(|block| block.len()).collect::<Vec<_>>(), [BLOCK, 3]);
}

#[test]
fn what_is_more_than_new_parts_is_not_taken_for_such() {
    let all = of(&[(0, 10, "a"), (20, 10, "c")]);
    for other in
        [&[(0, 10, "b")][..], &[(0, 5, "a")], &[(10, 10, "b")], &[(0, 10, "a"), (20, 10, "c"), (30, 1, "d")]]
    {
        assert_eq!(all.since(&of(other)), None, "{other:?}");
    }
    assert_eq!(all.since(&all.clone()), Some(Vec::new()));
    assert_eq!(all.since(&of(&[(0, 10, "a"), (20, 10, "c")])), Some(Vec::new()));
}

#[test]
fn a_list_that_overlaps_or_breaks_off_is_none() {
    let error = |json: &str| serde_json::from_str::<Stored>(json).unwrap_err().to_string();
    let part = |start, length| format!(r#"{{"start":{start},"length":{length},"id":"a"}}"#);
    for (second, third) in
        [(part(5, 10), part(20, 1)), (part(20, 1), part(5, 10)), (part(10, 0), part(20, 1))]
    {
        let json = format!("[{},{second},{third}]", part(0, 10));
        assert!(error(&json).starts_with("parts overlap"), "{json}");
    }
    insta::assert_snapshot!(error(r#"[{"start":0,"length":1,"id":5},tru"#), @"invalid type: integer `5`, expected a string at line 1 column 29");
}

/// Any text, with what JSON escapes.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        "[\"\\\\,\n]{0,3}",
        Just("null".to_owned()),
        "part_[0-9a-f]{32}",
    ]
}

/// Parts that do not overlap, in any order, so many that they take several blocks.
fn parts() -> impl Strategy<Value = Vec<(u64, u64, String)>> {
    let lengths = prop::collection::vec((0..2_u64, 1..9_u64, id()), 0..700);
    let placed = lengths.prop_map(|lengths| {
        let mut at = 0;
        let place = |(gap, length, id)| {
            let start = at + gap;
            at = start + length;
            (start, length, id)
        };
        lengths.into_iter().map(place).collect::<Vec<_>>()
    });
    placed.prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn they_are_what_was_put_in(parts in parts(), copied in any::<prop::sample::Index>()) {
        let (mut stored, mut before) = (Stored::default(), Stored::default());
        let copied = copied.index(parts.len().max(1));
        for (number, (start, length, id)) in parts.iter().enumerate() {
            if number == copied {
                before = stored.clone();
            }
            prop_assert!(stored.insert(*start, *length, id));
        }
        let expected: BTreeMap<_, _> = parts.iter().map(|(start, length, id)| (*start, (*length, id.clone()))).collect();
        let expected: Vec<_> = expected.into_iter().map(|(start, (length, id))| (start, length, id)).collect();
        prop_assert_eq!(&listed(&stored), &expected);
        prop_assert_eq!(stored.bytes(), parts.iter().map(|(_, length, _)| length).sum::<u64>());
        let json: Vec<_> = stored.json().map(|json| std::str::from_utf8(json).unwrap()).collect();
        let ids: Vec<_> = expected.iter().map(|(_, _, id)| id).collect();
        prop_assert_eq!(format!("[{}]", json.join(",")), serde_json::to_string(&ids).unwrap());
        prop_assert!(stored.blocks.iter().all(|block| (1..=BLOCK).contains(&block.len())));
        // What is new makes the earlier ones the later.
        let mut made = before.clone();
        for part in stored.since(&before).unwrap() {
            prop_assert!(made.insert(part.start, part.length, &part.id));
        }
        prop_assert_eq!(made, stored);
    }

    #[test]
    fn they_are_a_list_in_json_and_come_back_in_any_order(parts in parts()) {
        let mut stored = Stored::default();
        for (start, length, id) in &parts {
            prop_assert!(stored.insert(*start, *length, id));
        }
        let json = serde_json::to_string(&stored).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Stored>(&json).unwrap(), &stored);
        let unordered: Vec<_> = parts.iter().map(|(start, length, id)| StoredPart { start: *start, length: *length, id: id.into() }).collect();
        let json = serde_json::to_string(&unordered).unwrap();
        prop_assert_eq!(serde_json::from_str::<Stored>(&json).unwrap(), stored);
    }
}
