"""Ask how-to questions, run the code of the answers, and measure what the answers are like."""
