//! A call of which it is known whom it may be made to, and in which order.

use super::arguments::Arguments;
use super::order::Order;
use super::roster::Roster;
use crate::call::ask::Ask;
use crate::node::Node;
use crate::nodes::choices::Draw;
use crate::service::method::Method;

/// A call between the choice of its nodes and its end.
pub(crate) struct Begun<'a, M: Method> {
    pub(crate) ask: Ask<'a, M>,
    pub(crate) roster: Roster,
    /// Whom of the roster it asks next.
    pub(crate) order: Order,
    pub(crate) arguments: Arguments<M>,
    /// Nothing is drawn as long as there is nothing to choose.
    draw: Option<Draw>,
}

impl<'a, M: Method> Begun<'a, M> {
    /// Puts the nodes of the roster in the order in which the call asks them.
    pub(crate) fn new(node: &Node, mut ask: Ask<'a, M>, roster: Roster) -> Self {
        node.retries().deposit();
        let arguments = Arguments::new(node, ask.started, ask.args.take());
        let order = Order::none();
        let mut begun = Self { ask, roster, order, arguments, draw: None };
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
        let Self { roster, ask, draw, .. } = self;
        self.order = match roster.targets.len() {
            1 => Order::only(0),
            _ => roster.order(node, ask, draw.get_or_insert_with(|| roster.draw(node, ask))),
        };
    }
}
