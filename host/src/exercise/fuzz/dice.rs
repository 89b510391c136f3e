//! Choices by chance, all from one seed.

pub(super) use crate::mock::dice::Dice;

impl Dice {
    /// The dice of one execution: they depend on the seed and on its number, and on no other execution.
    pub(super) fn of(seed: u64, execution: u64) -> Self {
        let mut mixed = Self::new(seed);
        let first = mixed.next();
        Self::new(first ^ execution.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these; there is at least one.
    pub(super) fn one<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// The same of what is copied.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *self.one(from)
    }

    /// A place in a sequence of `length`, or its end.
    pub(super) fn place(&mut self, length: usize) -> usize {
        self.below(length + 1)
    }

    /// A length that is most often small: below 2, 4, 8 … up to `bound`, each as likely.
    pub(super) fn length(&mut self, bound: usize) -> usize {
        let bits = usize::BITS - bound.leading_zeros();
        let below = 1_usize << self.below(bits as usize + 1);
        self.below(below.min(bound) + 1)
    }

    /// A range within a sequence of `length`, most often short.
    pub(super) fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.place(length);
        let most = self.length(length - from);
        from..from + most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_stays_within_its_bounds() {
        let mut dice = Dice::of(1, 2);
        for length in [0, 1, 2, 7, 1_000] {
            for _ in 0..200 {
                assert!(dice.length(length) <= length);
                assert!(dice.place(length) <= length);
                assert!(dice.range(length).end <= length);
            }
        }
    }

    #[test]
    fn executions_and_seeds_have_dice_of_their_own() {
        let first = |seed, execution| Dice::of(seed, execution).next();
        assert_eq!(first(1, 5), first(1, 5));
        assert_ne!(first(1, 5), first(1, 6));
        assert_ne!(first(1, 5), first(2, 5));
    }
}
