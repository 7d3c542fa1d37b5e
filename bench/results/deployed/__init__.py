"""Results of `bench deploy`: what a trial's model scores and costs in the forms in which it is deployed."""
