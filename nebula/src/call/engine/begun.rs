//! A call of which it is known whom it may be made to, and in which order.

use std::sync::Arc;
use std::vec;

use super::arguments::Arguments;
use super::roster::Roster;
use crate::call::unicast::Ask;
use crate::node::Node;
use crate::nodes::choices::Draw;
use crate::service::method::Method;
use crate::service::served::Served;

/// A call between the choice of its nodes and its end.
pub(crate) struct Begun<'a, M: Method> {
    pub(crate) ask: Ask<'a, M>,
    pub(crate) roster: Roster,
    /// Whom of the roster it asks next.
    pub(crate) order: Order,
    pub(crate) arguments: Arguments<M>,
    /// The service of this node that refused the call: it may be asked again when all are.
    pub(crate) here: Option<Arc<Served>>,
    /// Nothing is drawn as long as there is nothing to choose.
    draw: Option<Draw>,
}

impl<'a, M: Method> Begun<'a, M> {
    /// Puts the nodes of the roster in the order in which the call asks them.
    pub(crate) fn new(node: &Node, mut ask: Ask<'a, M>, roster: Roster) -> Self {
        node.retries().deposit();
        let arguments = Arguments::new(node, ask.started, ask.args.take());
        let order = Order::none();
        let mut begun = Self { ask, roster, order, arguments, here: None, draw: None };
        begun.put_in_order(node);
        begun
    }

    /// Another roster was found for it.
    pub(crate) fn start_over(&mut self, node: &Node, roster: Roster) {
        self.roster = roster;
        self.put_in_order(node);
    }

    /// What it leaves to chance.
    pub(crate) fn draw(&mut self, node: &Node) -> &mut Draw {
        let (roster, ask) = (&self.roster, &self.ask);
        self.draw.get_or_insert_with(|| roster.draw(node, ask))
    }

    fn put_in_order(&mut self, node: &Node) {
        self.order = match self.roster.targets.len() {
            1 => Order::only(0),
            _ => {
                self.draw(node);
                let Self { roster, ask, draw, .. } = self;
                draw.as_mut().map_or(Order::none(), |draw| roster.order(node, ask, draw).into())
            }
        };
    }
}

/// Places in a roster, one after the other. A single one costs no memory.
#[derive(Debug)]
pub(crate) struct Order {
    first: Option<usize>,
    rest: vec::IntoIter<usize>,
}

impl Order {
    fn none() -> Self {
        Vec::new().into()
    }

    /// The next one, which stays where it is.
    pub(crate) fn peek(&self) -> Option<usize> {
        self.first.or_else(|| self.rest.as_slice().first().copied())
    }

    fn only(at: usize) -> Self {
        Self { first: Some(at), ..Self::none() }
    }
}

impl From<Vec<usize>> for Order {
    fn from(order: Vec<usize>) -> Self {
        Self { first: None, rest: order.into_iter() }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.first.take().or_else(|| self.rest.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.first.is_some()) + self.rest.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Order {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_how_many_are_left() {
        let mut one = Order::only(3);
        assert_eq!(one.peek(), Some(3));
        assert_eq!((one.len(), one.next(), one.len(), one.next()), (1, Some(3), 0, None));
        let mut many = Order::from(vec![2, 0, 1]);
        assert_eq!((many.len(), many.next(), many.len()), (3, Some(2), 2));
        assert_eq!(many.peek(), Some(0));
        assert_eq!((many.collect::<Vec<_>>(), Order::none().next()), (vec![0, 1], None));
    }
}
