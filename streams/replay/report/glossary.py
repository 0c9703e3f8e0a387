"""What the words of the report mean, for somebody who never read of machine learning."""

from typing import Final

MEANINGS: Final[tuple[tuple[str, str], ...]] = (
    ("VIP", "A customer whose outcome reached the bar within the horizon. This report's bar stands under its title."),
    ("Look", "A moment at which a customer is scored: the first order, or later, when more is known."),
    ("Score", "The chance, between 0 and 100 %, that this customer becomes a VIP within the horizon."),
    (
        "First-order value",
        (
            "The rule that any shop can write in one line: the larger the first order, the sooner an advisor. "
            "Everything here is held against it."
        ),
    ),
    (
        "95 % interval",
        (
            "Had the same shop had other customers of the same kind, the number would lie within it 19 times of 20. "
            "It is found by drawing customers anew, many times (bootstrap). Where the interval of a difference holds zero, "
            "chance alone could have made it."
        ),
    ),
    (
        "ROC AUC",
        (
            "Take a later VIP and another customer, both at random: how often does the VIP have the higher score? "
            "0.5 is a coin, 1 is always."
        ),
    ),
    (
        "Average precision",
        (
            "Go down the list from the highest score: the share of VIPs among those seen so far, averaged over the places at "
            "which VIPs stand. Chance gives the share of VIPs overall."
        ),
    ),
    (
        "Share of VIPs in the top tenth",
        "Of all later VIPs, the share that stood in the best-scored tenth. Chance gives 10 %.",
    ),
    (
        "Gain and lift",
        "Gain: the share of VIPs found in the best-scored part. Lift: how many times what chance would find.",
    ),
    (
        "Normalised Gini of the money",
        "Whether those scored high also spend much: 1 is the perfect order by money, 0 is chance.",
    ),
    (
        "Calibration",
        "Of customers with a score of 20 %, 20 in 100 should become VIPs. Slope 1 and error 0 are perfect.",
    ),
    ("Progressive", "Each customer is scored with what was known then; an outcome is learnt only when it came due."),
    (
        "Money after the look",
        "What a customer spends after being looked at: the part that an advisor given then could still serve.",
    ),
    ("Rolling origin", "Month by month: score the customers of the next 60 days, then average over the months."),
    (
        "Control",
        "Customers who would have got an advisor and, by lot, did not: what shows later whether advisors help.",
    ),
    (
        "Value captured",
        (
            "What the scores of all who got an advisor add up to, over the most that the same places could have got had every score "
            "been known beforehand. Scarce, balanced and ample: places for 1, 5 and 20 in 100 of the new customers."
        ),
    ),
    ("Snapshot", "A version of the model."),
)
