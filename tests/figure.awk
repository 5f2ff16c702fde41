# Makes rows of the table in docs/reliability.md of the tables that the simulation of membership
# prints, and judges each against its target:
#
#   awk -v wanted=8 -f tests/figure.awk docs/reliability.md OUTPUT
#
# A row that misses its target is "NOT MET", and then this ends non-zero, unless the document lists
# it among what falls short, no further than is known there: then it is a "known gap".

BEGIN { FS = " *[|] *" }

# The document.
FNR == NR {
  if (/^#/) listed = /^#+ What falls short of the targets$/
  if (listed && $2 ~ /^[0-9]+$/) gaps[$2 " " $3] = $4
  next
}

# A figure that is no number meets nothing: it was not printed as it is read here.
function within(figure, most) { return figure ~ /^[0-9]+([.][0-9]+)?$/ && figure + 0 <= most + 0 }

function verdict(key, first, first_most, second, second_most,    known) {
  if (within(first, first_most) && within(second, second_most)) return "met"
  if (key in gaps) {
    split(gaps[key], known, / *, */)
    if (within(first, known[1] + 0) && within(second, known[2] + 0)) return "known gap"
    missed = 1
    return "NOT MET, and beyond the known gap"
  }
  missed = 1
  return "NOT MET"
}

# A row of one figure, or of two.
function say(row, of, property, target, figure, sample, first, first_most, second, second_most) {
  if (row != wanted) return
  if (second_most == "") { second = 0; second_most = 0 }
  if (sample + 0 == 0) { missed = 1; judged = "NOT MET: nothing was tried" }
  else judged = verdict(row " " of, first, first_most, second, second_most)
  printf "| %s | %s, simulated, %s | %s | %s | %s | %s |\n", row, property, of, target, figure,
    sample, judged
}

/^[|] N [|] loss [|] crashes/ { table = "crashes" }
/^[|] N [|] network/ { table = "quiet" }
/^[|] N [|] loss [|] 1 in 10/ { table = "slow" }
/^[|] event/ { table = "events" }
/^[|] (N|event) |^[|]-/ { next }
!/^[|]/ { table = ""; next }

table == "crashes" {
  most = $2 < 100 ? 10 : $2 < 1000 ? 16 : 21
  if ($3 != "0 %") most *= 1.5
  of = "N = " $2 ", " $3 " loss"
  split($7, times, " / ")
  say($3 == "0 %" ? 1 : 2, of, "a crash is known everywhere", "p99 ≤ " most " T",
    "p50 / p99 / max " $7 " T; first suspicion after " $5 " T", $4 " crashes", times[2], most)
  say(3, of ", crashes", "nobody healthy is taken for dead", "0", $8, $4 " crashes", $8, 0)
}

table == "quiet" {
  of = "N = " $2 ", " $3
  say(3, of, "nobody healthy is taken for dead", "0", $5, $4 " node-periods", $5, 0)
}
# A probe is a question and its answer. How much is said while paths are bad has no target.
table == "quiet" && $3 ~ /loss$/ {
  say(8, of, "load of a member", "≤ 2 probes (4 packets) and 1200 B a period",
    $7 " packets, " $8 " B", $4 " node-periods", $7, 4, $8, 1200)
  if ($3 == "no loss") {
    if (!sizes++) { least = $8; smallest = $2 }
    else say(8, "N = " smallest " to " $2 ", no loss", "load of a member by the size of the cluster",
      "≤ 20 % more", sprintf("%.0f %% more", 100 * more($8)), $4 " node-periods",
      $8 ~ /^[0-9.]+$/ ? sprintf("%.1f", 100 * more($8)) : $8, 20)
  }
}
# Less than before is as little flat as more, but nobody minds.
function more(bytes) { return least + 0 > 0 && bytes + 0 > least + 0 ? bytes / least - 1 : 0 }

table == "slow" {
  say(4, "N = " $2 ", " $3 " loss, " $4, "1 in 10 stands still", "0 healthy ones taken for dead",
    $6 " (the slow: " $8 ")", $5 " node-periods", $6, 0)
}

table == "events" {
  row = $2 ~ /^goodbye/ ? 5 : $2 ~ /^restart/ ? 6 : 7
  most = row == 5 ? 2 : row == 6 ? 3 : 30
  split($5, times, " / ")
  say(row, "N = " $3, $2, "≤ " most " T", "p50 / p99 / max " $5 " T", $4 " runs", times[3], most)
}

END { exit missed }
