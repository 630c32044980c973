use std::collections::BTreeMap;

use claw_core::ladder::{Ladder, Level};
use claw_core::units::Side;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Action {
    Set(Level, u64),
    Replace(Vec<Level>, u64),
    Clear,
}

fn action() -> impl Strategy<Value = Action> {
    let price = prop_oneof![0..=10_000_u16, 62..=66_u16, 9_998..=10_000_u16];
    let level = (price, 0..4_u64).prop_map(|(price_e4, size_e6)| Level { price_e4, size_e6 });
    let levels = prop::collection::btree_map(0..=10_000_u16, 0..4_u64, 0..10).prop_map(|map| {
        map.into_iter()
            .map(|(price_e4, size_e6)| Level { price_e4, size_e6 })
            .collect::<Vec<_>>()
    });
    prop_oneof![
        20 => (level, 0..9_u64).prop_map(|(level, ms)| Action::Set(level, ms)),
        2 => (levels, 0..9_u64).prop_map(|(levels, ms)| Action::Replace(levels, ms)),
        1 => Just(Action::Clear),
    ]
}

/// Price → (size, time of the last change), removed levels included.
#[derive(Default)]
struct Model(BTreeMap<u16, (u64, u64)>);

impl Model {
    fn act(&mut self, action: &Action) {
        match action {
            Action::Set(level, ms) => {
                let entry = self.0.entry(level.price_e4).or_default();
                if *ms >= entry.1 {
                    *entry = (level.size_e6, *ms);
                }
            }
            Action::Replace(levels, ms) => {
                let sizes: BTreeMap<u16, u64> = levels
                    .iter()
                    .map(|level| (level.price_e4, level.size_e6))
                    .collect();
                for level in levels {
                    self.0.entry(level.price_e4).or_default();
                }
                for (price_e4, (size_e6, changed_ms)) in &mut self.0 {
                    if ms >= changed_ms {
                        *size_e6 = sizes.get(price_e4).copied().unwrap_or(0);
                    }
                }
            }
            Action::Clear => self.0.clear(),
        }
    }

    fn levels(&self, side: Side) -> Vec<Level> {
        let shown = self.0.iter().filter(|(_, (size_e6, _))| *size_e6 > 0);
        let ascending = shown.map(|(&price_e4, &(size_e6, _))| Level { price_e4, size_e6 });
        match side {
            Side::Buy => ascending.rev().collect(),
            Side::Sell => ascending.collect(),
        }
    }
}

proptest! {
    #[test]
    fn equals_a_sorted_map(
        actions in prop::collection::vec(action(), 0..80),
        side in prop_oneof![Just(Side::Buy), Just(Side::Sell)],
    ) {
        let (mut ladder, mut model) = (Ladder::new(side), Model::default());
        for action in &actions {
            let before = model.levels(side);
            model.act(action);
            let after = model.levels(side);
            match action {
                Action::Set(level, ms) => {
                    prop_assert_eq!(ladder.set(*level, *ms).unwrap_or(false), before != after);
                }
                Action::Replace(levels, ms) => prop_assert_eq!(ladder.replace(levels, *ms), before != after),
                Action::Clear => ladder.clear(),
            }
            prop_assert_eq!(ladder.best(), after.first().copied());
            prop_assert_eq!(ladder.iter().collect::<Vec<_>>(), after);
        }
    }
}
