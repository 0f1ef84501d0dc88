#![allow(clippy::unwrap_used)]
use super::*;
use crate::disk::SystemDisk;

fn extents_in(folder: &Path, known: Option<Vec<Place>>) -> Arc<Extents> {
    let disk = Arc::new(SystemDisk);
    Arc::new(Extents::open(folder, disk, Health::default(), known).unwrap())
}

fn place(block: u64, size: u64) -> Place {
    Place { block, size }
}

fn put(extents: &Extents, octets: &[u8]) -> Place {
    let place = extents.lend(octets.len() as u64).unwrap();
    extents.write(place, octets).unwrap();
    place
}

fn get(extents: &Extents, place: Place) -> Vec<u8> {
    let mut octets = vec![0; place.size as usize];
    let read = extents
        .disk
        .read(&extents.file, &extents.path, &mut octets, place.start());
    read.unwrap();
    octets
}

#[test]
fn a_place_that_was_removed_is_lent_anew_and_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let extents = extents_in(folder.path(), Some(Vec::new()));
    let first = put(&extents, &[1; 70_000]);
    let second = put(&extents, &[2; 70_000]);
    assert_ne!(first, second);
    extents.removed(first);
    let third = put(&extents, &[3; 66_000]);
    assert_eq!(third.start(), first.start());
    assert_eq!(get(&extents, third), [3; 66_000]);
    assert_eq!(get(&extents, second), [2; 70_000]);
    // What is behind it up to the end of its last page is nobody's old mail.
    let padding = place(third.block, 66_000_u64.next_multiple_of(BLOCK));
    assert!(
        get(&extents, padding)[66_000..]
            .iter()
            .all(|octet| *octet == 0)
    );
}

#[test]
fn what_somebody_reads_is_not_lent() {
    let folder = tempfile::tempdir().unwrap();
    let extents = extents_in(folder.path(), Some(Vec::new()));
    let read = put(&extents, &[1; 50_000]);
    let (one, two) = (extents.pin(read), extents.pin(read));
    extents.removed(read);
    assert_ne!(put(&extents, &[2; 50_000]).start(), read.start());
    drop(one);
    assert_ne!(put(&extents, &[3; 50_000]).start(), read.start());
    assert_eq!(get(&extents, read), [1; 50_000]);
    drop(two);
    assert_eq!(put(&extents, &[4; 50_000]).start(), read.start());
    // A pin on what stays takes nothing from it.
    let kept = put(&extents, &[5; 50_000]);
    drop(extents.pin(kept));
    assert_ne!(put(&extents, &[6; 50_000]).start(), kept.start());
}

#[test]
fn who_may_still_see_a_row_finds_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let extents = extents_in(folder.path(), Some(Vec::new()));
    let content = put(&extents, &[1; 50_000]);
    let looking = extents.look();
    extents.removed(content);
    // Whoever begins now does not see the row any more, and holds nothing up.
    let later = extents.look();
    assert_ne!(put(&extents, &[2; 50_000]).start(), content.start());
    let pin = extents.pin(content);
    drop(looking);
    assert_ne!(put(&extents, &[3; 50_000]).start(), content.start());
    drop(pin);
    assert_eq!(put(&extents, &[4; 50_000]).start(), content.start());
    // Without a pin it is free when those have gone who came before.
    let content = put(&extents, &[5; 50_000]);
    let before = extents.look();
    extents.removed(content);
    drop(later);
    assert_ne!(put(&extents, &[6; 50_000]).start(), content.start());
    drop(before);
    assert_eq!(put(&extents, &[7; 50_000]).start(), content.start());
}

#[test]
fn at_a_start_the_rows_say_what_is_lent() {
    let folder = tempfile::tempdir().unwrap();
    let extents = extents_in(folder.path(), Some(Vec::new()));
    let places: Vec<_> = (0..5).map(|n| put(&extents, &[n; 40_000])).collect();
    drop(extents);
    // The second and the fourth have gone; the third is named by two messages.
    let known = vec![places[4], places[2], places[0], places[2]];
    let extents = extents_in(folder.path(), Some(known));
    assert_eq!(put(&extents, &[9; 40_000]), places[1]);
    assert_eq!(put(&extents, &[9; 40_000]), places[3]);
    for n in [0, 2, 4] {
        assert_eq!(get(&extents, places[n]), [n as u8; 40_000]);
    }
    extents.removed(places[2]);
    assert_eq!(put(&extents, &[9; 40_000]), places[2]);
}

#[test]
fn where_it_cannot_be_told_who_uses_what_nothing_is_lent_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let extents = extents_in(folder.path(), Some(Vec::new()));
    put(&extents, &[1; 40_000]);
    let end = extents.state.lock().room.end();
    drop(extents);
    let extents = extents_in(folder.path(), None);
    assert!(put(&extents, &[2; 40_000]).block >= end);
}

/// One row that was damaged must not cost another message its content.
#[test]
fn blocks_that_two_rows_claim_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let known = vec![place(0, 40_000), place(9, 40_000), place(30, 4096)];
    std::fs::write(folder.path().join(NAME), [1; 31 * BLOCK as usize]).unwrap();
    let extents = extents_in(folder.path(), Some(known));
    extents.removed(place(9, 40_000));
    extents.removed(place(30, 4096));
    for _ in 0..20 {
        let lent = put(&extents, &[1; 4096]).block;
        assert!(lent >= 19, "{lent}");
    }
}

/// What a damaged row says of a place makes no room where there is none, and takes none from anybody.
#[test]
fn a_place_beyond_the_end_of_the_file_is_no_room_and_takes_none() {
    for (start, size) in [
        (1 << 40, 40_000),
        (25, 40_000),
        (5, 1 << 60),
        (0, 1 << 60),
        (u64::MAX / BLOCK - 20, 40_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (kept, damaged) = (place(10, 40_000), place(start, size));
        std::fs::write(folder.path().join(NAME), [1; 30 * BLOCK as usize]).unwrap();
        let extents = extents_in(folder.path(), Some(vec![kept, damaged]));
        assert!(extents.unused() <= 20 * BLOCK, "{}", extents.unused());
        let lent: Vec<_> = (0..50).map(|n| put(&extents, &[n; 8192])).collect();
        let length = extents.file.metadata().unwrap().len();
        assert!(length < 64 << 20, "{length}");
        // It is not its own what has been lent there since.
        extents.removed(damaged);
        let more: Vec<_> = (50..100).map(|n| put(&extents, &[n; 8192])).collect();
        for (n, place) in lent.iter().chain(&more).enumerate() {
            assert_eq!(get(&extents, *place), [n as u8; 8192]);
        }
        assert_eq!(get(&extents, kept), [1; 40_000]);
        // What others have lent there goes back like all else.
        extents.removed(lent[40]);
        assert_eq!(put(&extents, &[7; 8192]), lent[40]);
    }
}

#[test]
fn places_that_cannot_be_are_none() {
    assert_eq!(Place::of_row(8192, 5), Some(place(2, 5)));
    for (start, size) in [(-4096, 5), (1, 5), (4096, 0), (4096, -1), (i64::MIN, 5)] {
        assert_eq!(Place::of_row(start, size), None, "{start} {size}");
    }
}

fn blocks_on_disk(extents: &Extents) -> u64 {
    extents.file.metadata().unwrap().blocks() * 512 / BLOCK
}

#[test]
fn what_a_flood_has_left_goes_back_to_the_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let extents = extents_in(folder.path(), Some(Vec::new()));
    let flood: Vec<_> = (0..300).map(|_| put(&extents, &vec![1; 250_000])).collect();
    extents.sync().unwrap();
    assert!(blocks_on_disk(&extents) > 2 * KEPT);
    assert!(!extents.give_back(), "all of it is in use");
    // One in the middle and the last stay.
    for (n, place) in flood.iter().enumerate() {
        if n != 150 && n != 299 {
            extents.removed(*place);
        }
    }
    while extents.give_back() {}
    assert!(extents.unused() <= KEPT * BLOCK);
    let there = blocks_on_disk(&extents);
    assert!(there <= KEPT + 200, "{there} blocks");
    for kept in [flood[150], flood[299]] {
        assert_eq!(get(&extents, kept), vec![1; 250_000]);
    }
    // Holes are lent like all else, and hold what is written.
    let again: Vec<_> = (0..250).map(|_| put(&extents, &vec![2; 250_000])).collect();
    for place in &again {
        assert_eq!(get(&extents, *place), vec![2; 250_000]);
        extents.removed(*place);
    }
    while extents.give_back() {}
    extents.removed(flood[299]);
    extents.removed(flood[150]);
    extents.close();
    assert_eq!(extents.file.metadata().unwrap().len(), 0);
}

/// After a restart it is not known which blocks are holes; they must not count as room that is there.
#[test]
fn holes_are_no_room_after_a_restart_either() {
    let folder = tempfile::tempdir().unwrap();
    let extents = extents_in(folder.path(), Some(Vec::new()));
    let flood: Vec<_> = (0..200).map(|_| put(&extents, &vec![1; 250_000])).collect();
    let last = flood[199];
    for place in &flood[..199] {
        extents.removed(*place);
    }
    while extents.give_back() {}
    drop(extents);
    let extents = extents_in(folder.path(), Some(vec![last]));
    let there = blocks_on_disk(&extents);
    assert!(
        extents.unused() <= there * BLOCK,
        "{} of {there}",
        extents.unused() / BLOCK
    );
    assert_eq!(get(&extents, last), vec![1; 250_000]);
}

/// A disk with no room for a whole step, and then for nothing.
struct Tight(Mutex<u64>);

impl Disk for Tight {
    fn allocate(&self, file: &File, path: &Path, offset: u64, octets: u64) -> io::Result<()> {
        let mut left = self.0.lock();
        *left = left.checked_sub(octets).ok_or(io::ErrorKind::StorageFull)?;
        SystemDisk.allocate(file, path, offset, octets)
    }
}

#[test]
fn the_last_room_is_used_and_then_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Tight(Mutex::new(100_000)));
    let extents = Extents::open(folder.path(), disk, Health::default(), Some(Vec::new()));
    let extents = Arc::new(extents.unwrap());
    let only = put(&extents, &[1; 90_000]);
    let error = extents.lend(90_000).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let end = extents.state.lock().room.end();
    assert_eq!(extents.file.metadata().unwrap().len(), end * BLOCK);
    extents.removed(only);
    assert_eq!(put(&extents, &[2; 90_000]), only);
}
